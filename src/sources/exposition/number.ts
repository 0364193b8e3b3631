const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const SPECIAL = /^(?:([+-]?)inf(?:inity)?|nan)$/i

/** A value as both formats write it; undefined where the text is no number. */
export function readNumber(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text)
  const special = SPECIAL.exec(text)
  if (special === null) return undefined
  if (special[1] === undefined) return Number.NaN
  return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

const WHOLE = /^-?\d{1,15}$/

/** Milliseconds of a timestamp: written in whole ms in the text format, in seconds in OpenMetrics. */
export function readTimestampMs(text: string, seconds: boolean): number | undefined {
  if (!seconds) return WHOLE.test(text) ? Number(text) : undefined
  return DECIMAL.test(text) ? Math.round(Number(text) * 1000) : undefined
}
