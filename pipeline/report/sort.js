for (const table of document.querySelectorAll("table.sortable, table.full")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    head.title = "sort";
    head.addEventListener("click", () => {
      const body = table.tBodies[0], text = (row) => row.cells[column].innerText.trim();
      const number = (row) => parseFloat(text(row).replace("−", "-"));
      const falling = head.dataset.order !== "falling";
      for (const other of table.querySelectorAll("thead th")) delete other.dataset.order;
      head.dataset.order = falling ? "falling" : "rising";
      const compare = (a, b) => {
        const [x, y] = [number(a), number(b)];
        if (!isNaN(x) && !isNaN(y)) return x - y;
        return isNaN(x) === isNaN(y) ? text(b).localeCompare(text(a)) : isNaN(x) ? -1 : 1;
      };
      [...body.rows].sort((a, b) => (falling ? compare(b, a) : compare(a, b))).forEach((row) => body.append(row));
    });
  });
}
