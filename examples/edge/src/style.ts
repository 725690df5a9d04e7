/** The look of the pages: light and dark, from phones to desks. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f6f5f1, #16191c);
  --card: light-dark(#fff, #1f2428);
  --ink: light-dark(#1c2024, #e9ecee);
  --quiet: light-dark(#565d63, #a3adb5);
  --line: light-dark(#c9ccc8, #434b52);
  --edge: light-dark(#767c80, #87919a);
  --accent: light-dark(#0b5cad, #7dbcff);
  --good: light-dark(#17693a, #7ed6a0);
  --bad: light-dark(#a3231a, #ff9f94);
  --wait: light-dark(#7a4d00, #f2c063);
  font: 1rem/1.5 system-ui, sans-serif;
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  padding: 1rem;
  max-width: 56rem;
  background: var(--ground);
  color: var(--ink);
  overflow-wrap: anywhere;
}
a { color: var(--accent); }
header a { color: var(--quiet); }
h1 { margin: 0.5rem 0 1rem; font-size: 1.5rem; }
h2 { margin: 1.75rem 0 0.5rem; font-size: 1.1rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.filters, .buttons, .standing { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem; margin: 0 0 1rem; padding: 0; }
.filters { list-style: none; }
.filters a, .button, button {
  display: inline-flex;
  align-items: center;
  padding: 0.4rem 0.9rem;
  min-height: 2.75rem;
  border: 1px solid var(--edge);
  border-radius: 0.5rem;
  background: var(--card);
  color: inherit;
  font: inherit;
  text-decoration: none;
  cursor: pointer;
}
.filters [aria-current] { border-color: var(--accent); box-shadow: inset 0 -0.2rem var(--accent); font-weight: 600; }
.badge { padding: 0.1rem 0.6rem; border: 1px solid currentcolor; border-radius: 1rem; font-size: 0.875rem; white-space: nowrap; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.wait { color: var(--wait); }
.quiet, time { color: var(--quiet); }
time { font-size: 0.875rem; font-variant-numeric: tabular-nums; }
.rows, .timeline { margin: 0; padding: 0 0.75rem; list-style: none; background: var(--card); border: 1px solid var(--line); }
.rows li, .timeline li { display: flex; flex-wrap: wrap; align-items: center; gap: 0.1rem 0.75rem; padding: 0.5rem 0; }
.rows li + li, .timeline li + li { border-top: 1px solid var(--line); }
.rows form { margin-inline-start: auto; }
form { margin: 0; }
pre {
  margin: 0;
  padding: 0.75rem;
  max-height: 24rem;
  overflow: auto;
  background: var(--card);
  border: 1px solid var(--line);
  white-space: pre-wrap;
}
@media (min-width: 40rem) {
  .deliveries li { display: grid; grid-template-columns: minmax(0, 1fr) 7rem max-content; }
  .deliveries .badge { justify-self: start; }
}
@media (max-width: 40rem) {
  .deliveries a { flex: 1 0 100%; padding: 0.4rem 0; }
}
`
