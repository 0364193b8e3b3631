import { TidelineError } from '../../errors.ts'

export interface ExpositionLimits {
  readonly lines: number
  readonly series: number
  /** Labels of one series, as exposed. */
  readonly labels: number
}

export function tooLarge(limit: keyof ExpositionLimits, max: number): TidelineError {
  const of = limit === 'labels' ? ' of one series' : ''
  return new TidelineError('too-large', `more than ${max} ${limit}${of} (limit ${limit})`)
}
