/** One self-contained page with the curves of replayed loads: inline SVG, no script, nothing fetched. */
import type { Replayed } from './replay.ts'

const WIDTH = 960
const HEIGHT = 260
const LEFT = 64
const BOTTOM = 28
const TOP = 10
/** Points of a curve: each the largest value of its stretch, so that no peak is lost. */
const POINTS = 900

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5c6773; --line: #d5dae0; --paper: #fff;
  --load: #7a8794; --held: #0969da; --upper: #b35900 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9aa4ae; --line: #343b44;
  --paper: #0d1117; --load: #8b949e; --held: #58a6ff; --upper: #e3a04f } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; height: auto; display: block } text { fill: var(--dim); font-size: 12px }
.grid { stroke: var(--line) } path { fill: none; stroke-width: 1.4 }
.load { stroke: var(--load); border-color: var(--load) } .held { stroke: var(--held); border-color: var(--held) }
.upper { stroke: var(--upper); border-color: var(--upper); stroke-dasharray: 4 3 } span.upper { border-top-style: dashed }
.key { display: inline-block; width: 1.4em; border-top-width: 3px; border-top-style: solid; vertical-align: middle; margin: 0 .4em 0 1em }
.key:first-child { margin-left: 0 }
div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } caption { text-align: left; color: var(--dim) }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left; white-space: nowrap }`

export function replayPage(replayed: ReadonlyMap<string, Replayed>): string {
  const parts = [...replayed].map(
    ([name, one]) => `<section><h2>${escaped(name)}</h2>${curves(one)}${table(one)}</section>`,
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>tideline replay</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style>
<h1>tideline replay</h1>
${parts.join('\n')}</html>
`
}

function curves({ rows, standings }: Replayed): string {
  const from = rows[0]?.seconds ?? 0
  const to = Math.max(from + 1, rows.at(-1)?.seconds ?? 0)
  const top = rows.reduce((most, row) => Math.max(most, row.exposed, row.value), 0) || 1
  const x = (seconds: number) => LEFT + ((seconds - from) / (to - from)) * (WIDTH - LEFT - 10)
  const y = (value: number) =>
    HEIGHT - BOTTOM - (Math.min(value, top) / top) * (HEIGHT - BOTTOM - TOP)
  const path = (kind: string, of: (row: Replayed['rows'][number]) => number | undefined) => {
    const stretch = Math.max(1, Math.ceil(rows.length / POINTS))
    const points: string[] = []
    for (let at = 0; at < rows.length; at += stretch) {
      const part = rows.slice(at, at + stretch).flatMap((row) => of(row) ?? [])
      if (part.length > 0)
        points.push(`${x(rows[at]?.seconds ?? 0).toFixed(1)},${y(Math.max(...part)).toFixed(1)}`)
    }
    return points.length === 0 ? '' : `<path class="${kind}" d="M${points.join('L')}"/>`
  }
  const lines = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(share * top).toFixed(1)
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - 10}" y1="${at}" y2="${at}"/><text x="${LEFT - 6}" y="${at}" dy=".35em" text-anchor="end">${Number((share * top).toPrecision(3))}</text>`
  })
  const times = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const seconds = from + share * (to - from)
    const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle'
    return `<text x="${x(seconds).toFixed(1)}" y="${HEIGHT - 8}" text-anchor="${anchor}">${span(seconds - from)}</text>`
  })
  const policy = escaped(standings[1]?.name ?? 'the policy')
  return `<p><span class="key load"></span>load<span class="key held"></span>exposed by ${policy}<span class="key upper"></span>forecast, upper</p>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="load, exposed value and forecast over time">${lines.join('')}${times.join('')}${path('upper', (row) => row.forecastUpper)}${path('held', (row) => row.exposed)}${path('load', (row) => row.value)}</svg>`
}

function table({ standings, capacity }: Replayed): string {
  if (standings.length === 0) return '<p>Shorter than a minute: nothing to compare.</p>'
  const base = standings[0]?.equal.replicaHours ?? NaN
  const rows = standings.map(({ name, usual, equal }) => {
    const cells = [
      name,
      usual.replicaHours.toFixed(1),
      `${(usual.violations * 100).toFixed(3)} %`,
      usual.flapsPerDay.toFixed(1),
      orNever(equal.replicaHours, 1),
      orNever(equal.replicaHours / base, 3),
      orNever(equal.flapsPerDay, 1),
    ]
    return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`
  })
  const caption = `A replica serves ${Number(capacity.toPrecision(3))}. Equal violations: as many as the HPA default has at a target of 70 %.`
  return `<div><table><caption>${caption}</caption><tr><th>policy<th>replica-hours, 70 %<th>violations<th>flaps/day<th>replica-hours, equal violations<th>of the HPA default<th>flaps/day</tr>${rows.join('')}</table></div>`
}

function orNever(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : 'never'
}

function span(seconds: number): string {
  if (seconds >= 2 * 86_400) return `${(seconds / 86_400).toFixed(1)} d`
  if (seconds >= 2 * 3600) return `${(seconds / 3600).toFixed(1)} h`
  return `${Math.round(seconds / 60)} min`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
