import { TidelineError } from '../../errors.ts'

/** `text`: Prometheus text format 0.0.4 (and 1.0.0 with quoted names). `openmetrics`: OpenMetrics 1.0. */
export type ExpositionFormat = 'text' | 'openmetrics'

/** For a request's `Accept`: OpenMetrics first, since it tells when a counter began. */
export const EXPOSITION_ACCEPT =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,' +
  'text/plain;version=0.0.4;q=0.5,*/*;q=0.1'

/** Which format an answer is in. Throws `bad-response` for what is surely none: HTML, JSON, binary. */
export function formatOf(contentType: string, body: string): ExpositionFormat {
  const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
  if (type === 'application/openmetrics-text') return 'openmetrics'
  const start = body.slice(0, 200).trimStart().toLowerCase()
  if (type === 'text/html' || start.startsWith('<!doctype html') || start.startsWith('<html'))
    throw new TidelineError(
      'bad-response',
      'this looks like an HTML page, not metrics: check the port and the path',
    )
  if (type === '' || type === 'text/plain' || type === 'application/octet-stream') return 'text'
  throw new TidelineError(
    'bad-response',
    `the content type ${JSON.stringify(type.slice(0, 80))} is not a metrics format: check the port and the path`,
  )
}
