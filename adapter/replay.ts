import { readFile, writeFile } from 'node:fs/promises'
import type { ReplayOptions } from './commandLine.ts'
import type { HoldCause } from '../src/ports.ts'

/** What the engine makes of one row; the composition root gives it. */
export interface ReplayedRow {
  readonly seconds: number
  readonly value: number
  readonly exposed: number
  readonly forecastUpper: number | undefined
  readonly cause: HoldCause
  readonly reason: string
}

const HEADER = 't_seconds,exposed_value,stabilization_seconds,observed,forecast_upper,why'

/** Numbers for the column `why`, so that the file stays one of numbers; `--words` writes sentences instead. */
const CODES: Readonly<Record<HoldCause, number>> = {
  observed: 0,
  window: 1,
  forecast: 2,
  bounded: 3,
  'forecast-off': 4,
}

/**
 * Writes what a signal would have answered to a recorded load. `stabilization_seconds` is the window the HPA
 * should keep itself: 0, as the hold is in the value.
 */
export async function writeReplay(
  options: ReplayOptions,
  run: (text: string) => Iterable<ReplayedRow>,
): Promise<string> {
  const text = await readFile(options.trace, 'utf8')
  const lines = [HEADER]
  const seen = new Map<HoldCause, number>()
  for (const { seconds, value, exposed, forecastUpper, cause, reason } of run(text)) {
    const why = options.words ? `"${reason.replaceAll('"', '""')}"` : CODES[cause]
    lines.push(`${seconds},${num(exposed)},0,${num(value)},${num(forecastUpper)},${why}`)
    seen.set(cause, (seen.get(cause) ?? 0) + 1)
  }
  await writeFile(options.out, `${lines.join('\n')}\n`)
  const causes = [...seen].map(([cause, rows]) => `${CODES[cause]} ${cause}: ${rows}`)
  return `${lines.length - 1} rows; why: ${causes.join(', ')}\n`
}

function num(value: number | undefined): string {
  return value === undefined ? '' : String(Number(value.toPrecision(9)))
}
