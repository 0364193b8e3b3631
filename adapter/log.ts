import type { Clock, LogFields, Logger } from '../src/ports.ts'
import { messageOf } from '../src/errors.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** One JSON object a line on the given stream: `time`, `level`, `event`, then the fields. */
export function createLogger(
  clock: Clock,
  level: LogLevel,
  out: (line: string) => void = stderrLines(),
): Logger {
  const least = LOG_LEVELS.indexOf(level)
  const at =
    (name: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (LOG_LEVELS.indexOf(name) < least) return
      const time = new Date(clock.nowMs()).toISOString()
      out(JSON.stringify({ time, level: name, event, ...fields }, errorAsMessage))
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Whoever reads the log may go away (EPIPE); autoscaling goes on without a log. */
function stderrLines(): (line: string) => void {
  process.stderr.on('error', () => undefined)
  return (line) => process.stderr.write(`${line}\n`)
}

function errorAsMessage(_key: string, value: unknown): unknown {
  return value instanceof Error ? messageOf(value) : value
}
