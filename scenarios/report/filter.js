// Shows the rows that have the chosen result, tag and words.
const rows = [...document.querySelectorAll("tr[data-result]")];
const form = document.querySelector("form");
const count = document.querySelector("#count");

function show() {
  const words = form.words.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    const wanted =
      (!form.result.value || row.dataset.result === form.result.value) &&
      (!form.tag.value || row.dataset.tags.split(" ").includes(form.tag.value)) &&
      (!words || row.textContent.toLowerCase().includes(words));
    row.hidden = !wanted;
    shown += wanted ? 1 : 0;
  }
  count.textContent = `${shown} of ${rows.length}`;
}

form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
show();
