/** Of the report, for light and dark. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #22262c; --quiet: #5f6772; --paper: #ffffff; --back: #f4f5f7; --line: #dfe3e8;
  --accent: #1f6fbf; --mark: #fff4d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --quiet: #9aa3ae; --paper: #16191d; --back: #0e1013;
  --line: #2b3036; --accent: #6bb0f0; --mark: #3a3117; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); line-height: 1.55;
  font-family: system-ui, 'Helvetica Neue', 'DejaVu Sans', sans-serif; font-size: 16px; }
main { max-width: 72rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.4rem; line-height: 1.3; margin: 0; }
h3 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1.25rem; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
p { max-width: 46rem; margin: .75rem 0; }
code, pre { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; font-size: .85em; }
pre { background: var(--back); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; overflow-x: auto; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 1.5rem; margin: 2rem 0; }
.name { color: var(--quiet); font-size: .8rem; letter-spacing: .04em; text-transform: uppercase; }
.answer { font-size: 1.1rem; font-weight: 500; }
.quiet { color: var(--quiet); font-size: .875rem; }
.stand-in { background: var(--mark); border-radius: 6px; padding: .5rem .8rem; font-size: .9rem; }
nav ol { padding-left: 1.4rem; } nav li { margin: .2rem 0; }
figure { margin: 1.25rem 0; overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--paper); }
figure svg { display: block; max-width: 100%; height: auto; min-width: 36rem; margin: 0 auto; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; min-width: 100%; }
caption { text-align: left; caption-side: bottom; padding-top: .4rem; color: var(--quiet); font-size: .875rem; padding-bottom: .4rem; }
th, td { padding: .35rem .55rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; vertical-align: bottom; }
td { white-space: nowrap; }
.number { text-align: right; }
.number small { color: var(--quiet); }
summary { cursor: pointer; color: var(--accent); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .875rem; margin: 1rem 0; }
dt { color: var(--quiet); } dd { margin: 0; }
@media (max-width: 40rem) { main { padding: 1.25rem .75rem; } section { padding: 1rem; } }
@media print { section { break-inside: avoid; } body { background: none; } }
`;
