/**
 * What the adapter tells of its signals, in Prometheus's text format. Ten thousand signals are tens of thousands of
 * lines, which a metrics library writes by way of an object and a key for each, in one go; meanwhile neither a tick
 * nor a request of an autoscaler is served. Here each line is written once, and others get their turn between parts.
 */
import { setImmediate as othersTurn } from 'node:timers/promises'
import type { SignalReadings } from '../src/model.ts'
import type { SignalReader } from '../src/ports.ts'
import {
  OBSERVED,
  OBSERVED_DATA,
  OBSERVED_LEFT_OUT,
  observedOf,
  READINGS,
  type Observed,
} from './observed.ts'

/** Signals that are written without a pause: a millisecond or two. */
const PART = 250

/** Adds one line; `extra` is the value of the family's own label, where it has one. */
type Put = (value: number, extra?: string) => void

interface Told extends SignalReadings {
  readonly observed: readonly Observed[]
  /** Groups that are too many to be told of. */
  readonly leftOut: number
  readonly nowMs: number
}

interface Family {
  readonly name: string
  readonly help: string
  /** A label beside `namespace` and `signal`. */
  readonly label?: string
  tell(of: Told, put: Put): void
}

/** All of them are gauges. */
export const SIGNAL_FAMILIES: readonly Family[] = [
  {
    name: READINGS,
    help: 'Readings of a signal by state.',
    label: 'state',
    tell({ readings }, put) {
      const counts = new Map<string, number>()
      for (const { state } of readings) counts.set(state, (counts.get(state) ?? 0) + 1)
      for (const [state, count] of counts) put(count, state)
    },
  },
  {
    name: 'tideline_signal_value',
    help: 'Sum of the fresh readings of a signal; no series while none is fresh.',
    tell({ readings }, put) {
      let sum: number | undefined
      for (const one of readings) if (one.state === 'fresh') sum = (sum ?? 0) + one.value
      if (sum !== undefined) put(sum)
    },
  },
  {
    name: 'tideline_signal_data_age_seconds',
    help: 'Age of the oldest data a signal stands on; no series while it is absent.',
    tell({ readings, nowMs }, put) {
      let oldestMs: number | undefined
      for (const one of readings)
        if (one.state !== 'absent') oldestMs = Math.min(oldestMs ?? Infinity, one.dataMs)
      if (oldestMs !== undefined) put((nowMs - oldestMs) / 1000)
    },
  },
  {
    name: OBSERVED,
    help: 'What a signal observes, before any hold or declared answer; pods as their total. No series while it is not fresh.',
    label: 'group',
    tell({ observed }, put) {
      for (const { group, value } of observed) put(value, group)
    },
  },
  {
    name: OBSERVED_DATA,
    help: 'Time of the oldest data that it stands on, seconds since 1970.',
    label: 'group',
    tell({ observed }, put) {
      for (const { group, dataMs } of observed) put(dataMs / 1000, group)
    },
  },
  {
    name: OBSERVED_LEFT_OUT,
    help: 'Groups of a signal that are too many to be told of one by one.',
    tell({ leftOut }, put) {
      if (leftOut > 0) put(leftOut)
    },
  },
  {
    name: 'tideline_forecast_off',
    help: 'Readings whose forecast is off since the same time yesterday does better.',
    tell({ readings }, put) {
      const forecasts = forecastsOf(readings)
      if (forecasts.length > 0) put(forecasts.filter(({ trusted }) => !trusted).length)
    },
  },
  {
    name: 'tideline_forecast_loss',
    help: 'Mean pinball loss of the recent past (ln load), summed over readings: of the forecast and of the same time yesterday.',
    label: 'of',
    tell({ readings }, put) {
      const compared = forecastsOf(readings).flatMap(({ losses }) => losses ?? [])
      if (compared.length === 0) return
      put(total(compared.map(({ own }) => own)), 'forecast')
      put(total(compared.map(({ seasonal }) => seasonal)), 'yesterday')
    },
  },
  {
    name: 'tideline_start_up_seconds',
    help: 'How long a pod behind a signal takes to start: measured (no series until one was seen), and as configured.',
    label: 'of',
    tell({ signal, startUp }, put) {
      if (signal.stabilize?.policy !== 'predictive' || startUp === undefined) return
      put(signal.stabilize.startDelayMs / 1000, 'configured')
      if (startUp.of === 'measured') put(startUp.ms / 1000, 'measured')
    },
  },
]

/** All signals as they are when it is called, even where a tick comes between two parts. */
export async function signalMetricsText(reader: SignalReader, nowMs: number): Promise<string> {
  const signals = [...reader.all()]
  const families = SIGNAL_FAMILIES.map(({ name, help }) => [
    `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`,
  ])
  for (let from = 0; from < signals.length; from += PART) {
    if (from > 0) await othersTurn()
    const told = signals
      .slice(from, from + PART)
      .map((one) => ({ common: commonLabels(one), of: toldOf(one, nowMs) }))
    for (const [at, family] of SIGNAL_FAMILIES.entries()) families[at]?.push(part(family, told))
  }
  return families.map((parts) => parts.join('')).join('\n')
}

interface Line {
  readonly common: string
  readonly of: Told
}

function part({ name, label, tell }: Family, told: readonly Line[]): string {
  const lines: string[] = []
  for (const { common, of } of told)
    tell(of, (value, extra) => {
      const own = extra === undefined ? '' : `,${label}="${escaped(extra)}"`
      lines.push(`${name}{${common}${own}} ${value}\n`)
    })
  return lines.join('')
}

export function toldOf(one: SignalReadings, nowMs: number): Told {
  return { ...one, ...observedOf(one), nowMs }
}

function forecastsOf(readings: SignalReadings['readings']) {
  return readings.flatMap(({ why }) => why.forecast ?? [])
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function commonLabels({ signal }: SignalReadings): string {
  return `namespace="${escaped(signal.namespace)}",signal="${escaped(signal.name)}"`
}

/** As the text format asks it of a label's value. */
function escaped(text: string): string {
  return /[\\"\n]/.test(text)
    ? text.replace(/[\\"]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`)
    : text
}
