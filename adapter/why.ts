/** What `/readings` of a running adapter tells, as sentences for a person, in the time of where they are. */

/** Throws `RangeError` where it is not what an adapter answers. */
export function whyText(json: string, nowMs: number): string {
  const { signals } = objectOf(parsed(json))
  if (!Array.isArray(signals))
    throw new RangeError('the answer has no signals: is this a Tideline?')
  return signals
    .flatMap((one) => signalLines(objectOf(one), nowMs))
    .map(printable)
    .join('\n')
}

/** Labels come from outside, and a terminal obeys some characters. */
function printable(line: string): string {
  return line.replace(
    /\p{Cc}|\p{Cf}/gu,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

type Told = Readonly<Record<string, unknown>>

function signalLines(told: Told, nowMs: number): string[] {
  const { signal, startUp, forecastFlaw, readings, leftOut } = told
  const all = Array.isArray(readings) ? readings.map(objectOf) : []
  const lines = all.flatMap((one) => readingLines(String(signal), one, nowMs))
  if (typeof leftOut === 'number') lines.push(`${String(signal)}: ${leftOut} more groups`)
  for (const text of [startUp, forecastFlaw]) if (typeof text === 'string') lines.push(`  ${text}`)
  return lines
}

function readingLines(signal: string, told: Told, nowMs: number): string[] {
  const time = (text: unknown) => localTime(String(text), nowMs)
  const labels = Object.entries(objectOf(told['labels'])).map(([name, value]) => `${name}=${String(value)}`) // prettier-ignore
  const name = labels.length === 0 ? signal : `${signal}{${labels.join(',')}}`
  const lines = [`${name} ${headOf(told, time)}`]
  const { hold, window, forecast, fallback, notes } = told
  if (isObject(hold))
    lines.push(`  held until ${time(hold['until'])}: ${String(hold['reason'])} (since ${time(hold['since'])})`) // prettier-ignore
  if (isObject(window))
    lines.push(`  the HPA is to hold for at least ${String(window['leastSeconds'])} s: ${String(window['reason'])}`) // prettier-ignore
  if (isObject(fallback))
    lines.push(`  a declared answer (${String(fallback['policy'])}): ${String(fallback['cause'])}`)
  if (isObject(forecast)) lines.push(`  ${forecastText(forecast)}`)
  if (Array.isArray(notes)) lines.push(...notes.map((note) => `  ${String(note)}`))
  return lines
}

function headOf(told: Told, time: (text: unknown) => string): string {
  const { state, value, observed, data, cause, lastValue } = told
  if (state === 'fresh') {
    const held =
      value === observed || observed === undefined ? '' : ` (observed ${short(observed)})`
    return `is ${short(value)}${held}, data of ${time(data)}`
  }
  if (state === 'stale')
    return `is stale: ${String(cause)}; it was ${short(lastValue)} at ${time(data)}`
  return `is absent: ${String(cause)}`
}

function forecastText({ upper, trusted, losses }: Told): string {
  const { own, seasonal } = objectOf(losses)
  const lately =
    own === undefined
      ? 'nothing came yet to compare it with'
      : `it lost ${short(own)} lately, the season alone ${short(seasonal)}`
  if (trusted === true) return `the forecast is on: at most ${short(upper)} (95 %); ${lately}`
  return `the forecast is off, the fixed window rules: ${lately}`
}

/** Of the same day the hour alone. */
function localTime(text: string, nowMs: number): string {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) return text
  const day = (at: number) => new Date(at).toLocaleDateString('sv-SE')
  const hour = new Date(ms).toLocaleTimeString('sv-SE')
  return day(ms) === day(nowMs) ? hour : `${day(ms)} ${hour}`
}

function short(value: unknown): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value)
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new RangeError('the answer is no JSON: is this a Tideline?', { cause })
  }
}

function isObject(value: unknown): value is Told {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function objectOf(value: unknown): Told {
  return isObject(value) ? value : {}
}
