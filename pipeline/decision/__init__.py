"""What one fit decides about images: class, open-set score, temperature and threshold; evaluated and exported alike."""
