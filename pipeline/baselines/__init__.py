"""What the method is compared with, under the same contract as `croft`."""
