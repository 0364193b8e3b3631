/** One self-contained page with the curves of replayed loads: inline SVG, no script, nothing fetched. */
import type { Replayed } from './replay.ts'
import { instant } from './instant.ts'

type Row = Replayed['rows'][number]

const WIDTH = 960
const HEIGHT = 260
const LEFT = 64
const RIGHT = 24
const BOTTOM = 28
const TOP = 10
/** Points of a curve: each the largest value of its stretch, so that no peak is lost. */
const POINTS = 900
/** Times after 2001 are instants; before, they are seconds from some beginning. */
export const UNIX_FROM = 1e9

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5c6773; --line: #d5dae0; --paper: #fff;
  --load: #7a8794; --held: #0969da; --upper: #b35900 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9aa4ae; --line: #343b44;
  --paper: #0d1117; --load: #8b949e; --held: #58a6ff; --upper: #e3a04f } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; min-width: 54rem; height: auto; display: block } text { fill: var(--dim); font-size: 12px }
.grid { stroke: var(--line) } rect { fill: var(--line); opacity: .45 } path { fill: none; stroke-width: 1.4 }
.key { display: inline-block; width: 1.4em; border-top: 3px solid; vertical-align: middle; margin-right: .4em }
.name { white-space: nowrap; display: inline-block; margin-right: 1em }
.load { stroke: var(--load); border-color: var(--load) } .held { stroke: var(--held); border-color: var(--held) }
.upper { stroke: var(--upper); border-color: var(--upper); stroke-dasharray: 4 3 } span.upper { border-top-style: dashed }
.gap { border-color: var(--line); border-top-width: .9em; opacity: .6 }
div { overflow-x: auto; margin-bottom: 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } p.note { color: var(--dim); margin: .3rem 0 }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid var(--line) }
th { font-weight: 600 } th[colspan] { text-align: center; color: var(--dim) }
tr > :nth-child(5), th[colspan] + th[colspan] { border-left: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left; white-space: nowrap }
@media (max-width: 40rem) { th, td { padding: .25rem .4rem } body { margin: 1rem auto } }`

export function replayPage(replayed: ReadonlyMap<string, Replayed>): string {
  const parts = [...replayed].map(
    ([name, one]) => `<section><h2>${escaped(name)}</h2>${curves(one)}${table(one)}</section>`,
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>tideline replay</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style>
<h1>tideline replay</h1>
${parts.join('\n')}</html>
`
}

function curves({ rows, standings, gaps }: Replayed): string {
  const from = rows[0]?.seconds ?? 0
  const to = Math.max(from + 1, rows.at(-1)?.seconds ?? 0)
  const most = rows.reduce((top, row) => Math.max(top, row.exposed, row.value), 0) || 1
  const step = roundStep(most / 4)
  const top = Math.ceil(most / step) * step
  const x = (seconds: number) => LEFT + ((seconds - from) / (to - from)) * (WIDTH - LEFT - RIGHT)
  const y = (value: number) =>
    HEIGHT - BOTTOM - (Math.min(value, top) / top) * (HEIGHT - BOTTOM - TOP)
  const stretches = stretchesOf(rows, gaps)
  const path = (kind: string, of: (row: Row) => number | undefined) => {
    const lines = stretches.map((parts) => {
      const points = parts.flatMap((part) => {
        const values = part.flatMap((row) => of(row) ?? [])
        const at = x(part[0]?.seconds ?? 0).toFixed(1)
        return values.length > 0 ? [`${at},${y(Math.max(...values)).toFixed(1)}`] : []
      })
      return points.length > 0 ? `M${points.join('L')}` : ''
    })
    return `<path class="${kind}" d="${lines.join('')}"/>`
  }
  const levels = Array.from({ length: Math.round(top / step) + 1 }, (_, at) => {
    const level = Number((at * step).toPrecision(12))
    const place = y(level).toFixed(1)
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${place}" y2="${place}"/><text x="${LEFT - 6}" y="${place}" dy=".35em" text-anchor="end">${level}</text>`
  })
  const times = timesBetween(0, to - from).map(
    (seconds) =>
      `<text x="${x(from + seconds).toFixed(1)}" y="${HEIGHT - 8}" text-anchor="middle">${span(seconds)}</text>`,
  )
  const unknown = gaps.map(({ fromSeconds, toSeconds }) => {
    const left = x(fromSeconds)
    return `<rect x="${left.toFixed(1)}" y="${TOP}" width="${Math.max(0.5, x(toSeconds) - left).toFixed(1)}" height="${HEIGHT - BOTTOM - TOP}"/>`
  })
  const policy = escaped(standings[1]?.name ?? 'the policy')
  const inHpa = rows.some((row) => row.windowSeconds > 0)
  const heldBy = inHpa ? `held by the HPA, as ${policy} says` : `exposed by ${policy}`
  const held = inHpa ? heldInHpa(rows) : new Map(rows.map((row) => [row, row.exposed]))
  const since =
    from > UNIX_FROM
      ? `<p class="note">From ${instant(from * 1000)} to ${instant(to * 1000)}.</p>`
      : ''
  const names = [
    named('load', 'load'),
    named('held', heldBy),
    named('upper', 'forecast, upper'),
    ...(gaps.length > 0 ? [named('gap', 'nothing recorded')] : []),
  ]
  return `<p>${names.join('')}</p>
<div><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="load, exposed value and forecast over time">${unknown.join('')}${levels.join('')}${times.join('')}${path('load', (row) => row.value)}${path('upper', (row) => row.forecastUpper)}${path('held', (row) => held.get(row))}</svg></div>${since}`
}

/** What a curve is, beside a piece of it. */
function named(kind: string, text: string): string {
  return `<span class="name"><span class="key ${kind}"></span>${text}</span>`
}

/** What an HPA holds whose window is as the rows say: the largest within it. */
function heldInHpa(rows: readonly Row[]): ReadonlyMap<Row, number> {
  const held = new Map<Row, number>()
  /** Falling in value, rising in time. */
  const peaks: Row[] = []
  for (const row of rows) {
    while ((peaks.at(-1)?.exposed ?? Infinity) <= row.exposed) peaks.pop()
    peaks.push(row)
    const within = (peak: Row) => peak.seconds > row.seconds - row.windowSeconds || peak === row
    while (peaks.length > 1 && (peaks[0]?.seconds ?? 0) <= row.seconds - WINDOW_MAX_S) peaks.shift()
    held.set(row, peaks.find(within)?.exposed ?? row.exposed)
  }
  return held
}

/** The API's longest window. */
const WINDOW_MAX_S = 3600

/** Rows between two gaps, in parts that become one point each. */
function stretchesOf(rows: readonly Row[], gaps: Replayed['gaps']): readonly (readonly Row[])[][] {
  const size = Math.max(1, Math.ceil(rows.length / POINTS))
  const ends = new Set(gaps.map((gap) => gap.fromSeconds))
  const stretches: Row[][][] = [[]]
  for (const row of rows) {
    const parts = stretches.at(-1)
    const part = parts?.at(-1)
    if (part === undefined || part.length >= size) parts?.push([row])
    else part.push(row)
    if (ends.has(row.seconds)) stretches.push([])
  }
  return stretches
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  const found = [1, 2, 2.5, 5].find((one) => one * power >= least * (1 - 1e-9)) ?? 10
  return found * power
}

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400
const TIME_STEPS = [
  ...[1, 5, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE],
  ...[HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY],
]

/** At most ten times of a round step. */
function timesBetween(from: number, to: number): readonly number[] {
  const step =
    TIME_STEPS.find((one) => (to - from) / one <= 9) ?? Math.ceil((to - from) / (9 * DAY)) * DAY
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step)
}

function table({ standings, capacity, incomparable = 'nothing to compare' }: Replayed): string {
  if (standings.length === 0) return `<p>No comparison: ${escaped(incomparable)}.</p>`
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
  return `<p class="note">A replica serves ${Number(capacity.toPrecision(3))}. Equal violations: as many as the HPA default has at a target of 70 %.</p>
<div><table><tr><th><th colspan="3">target 70 %<th colspan="3">equal violations</tr>
<tr><th>policy<th>replica-hours<th>violations<th>flaps/day<th>replica-hours<th>of the HPA default<th>flaps/day</tr>
${rows.join('')}</table></div>`
}

function orNever(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : 'never'
}

function span(seconds: number): string {
  if (seconds === 0) return '0'
  if (seconds % DAY === 0) return `${seconds / DAY} d`
  if (seconds % HOUR === 0) return `${seconds / HOUR} h`
  return seconds % MINUTE === 0 ? `${seconds / MINUTE} min` : `${seconds} s`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
