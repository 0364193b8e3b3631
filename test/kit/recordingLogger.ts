import type { LogFields, Logger } from '../../src/ports.ts'

export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly event: string
  readonly fields: LogFields
}

/** A logger that keeps its lines. */
export class RecordingLogger implements Logger {
  readonly entries: LogEntry[] = []

  debug(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'debug', event, fields })
  }
  info(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'info', event, fields })
  }
  warn(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'warn', event, fields })
  }
  error(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'error', event, fields })
  }
}
