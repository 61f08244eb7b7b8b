// Niceties only: the page says everything without them.
(function () {
  "use strict";
  document.querySelectorAll("pre[data-copy]").forEach(function (pre) {
    if (!navigator.clipboard) return;
    var button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(pre.textContent).then(function () {
        button.textContent = "Copied";
        setTimeout(function () { button.textContent = "Copy"; }, 1500);
      });
    });
    pre.before(button);
  });
  // What is closed on the screen is open on paper.
  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (one) { one.open = false; });
  });
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.from(table.tHead.rows[0].cells);
    var body = table.tBodies[0];
    heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      button.addEventListener("click", function () {
        var falling = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        Array.from(body.rows)
          .map(function (row) {
            var cell = row.cells[column], number = cell.dataset.v;
            var text = cell.textContent;
            return { row: row, unknown: text === "–", value: number === undefined ? text : Number(number) };
          })
          .sort(function (a, b) {
            if (a.unknown || b.unknown) return a.unknown - b.unknown;
            var order = typeof a.value === "number" && typeof b.value === "number"
              ? a.value - b.value : String(a.value).localeCompare(String(b.value), "en", { numeric: true });
            return falling ? -order : order;
          })
          .forEach(function (one) { body.append(one.row); });
      });
    });
  });
})();
