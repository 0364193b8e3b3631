import type { Connection } from './connectionFlags.ts'
import { connectionOf } from './connectionFlags.ts'
import { spanOf } from './timeFlags.ts'

export const RECORD_FLAGS = {
  adapter: { type: 'string' },
  group: { type: 'string' },
  every: { type: 'string' },
  for: { type: 'string' },
} as const

export const RECORD_USAGE = `Options of record
  --adapter URL          of a running adapter, such as https://127.0.0.1:6443
  --signal NAME          Signal as NAMESPACE/NAME, or NAME where one namespace has it; several times into a folder
  --group LABELS         of a signal with several groups that of these labels: class=person,zone=a
  --out FILE.csv         trace to make or to go on with; a folder for several (standard output)
  --every DURATION       pace of the rows (15s)
  --for DURATION         how long (until it is told to stop)
`

export interface RecordOptions {
  readonly command: 'record'
  readonly connection: Connection
  readonly signals: readonly string[]
  readonly group?: string
  readonly out?: string
  readonly everyMs: number
  /** Undefined: until it is told to stop. */
  readonly forMs?: number
}

type Values = Parameters<typeof connectionOf>[2] & {
  readonly [Name in keyof typeof RECORD_FLAGS]?: string
} & { readonly signal?: readonly string[]; readonly out?: string }

/** Throws `RangeError` naming the flag. */
export function recordOptions(values: Values): RecordOptions {
  const { adapter, signal = [], group, out, every = '15s', for: duration } = values
  if (adapter === undefined)
    throw new RangeError('record needs --adapter, such as https://127.0.0.1:6443')
  if (signal.length === 0) throw new RangeError('record needs --signal NAMESPACE/NAME')
  if (signal.length > 1 && out === undefined)
    throw new RangeError('--signal is there several times: name a folder for them by --out')
  if (signal.length > 1 && group !== undefined)
    throw new RangeError('--group is of one signal: give one --signal')
  return {
    command: 'record',
    connection: connectionOf('--adapter', adapter, values),
    signals: [...new Set(signal)],
    ...(group === undefined ? {} : { group }),
    ...(out === undefined ? {} : { out }),
    everyMs: spanOf('--every', every),
    ...(duration === undefined ? {} : { forMs: spanOf('--for', duration) }),
  }
}
