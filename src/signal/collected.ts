import type { Series, Signal } from '../model.ts'
import type { WindowResult } from '../series/window.ts'
import { evaluateWindow } from '../series/window.ts'

/**
 * The window of a series, laid where it was collected. PromQL takes a gap at either edge of the window for the
 * end or the beginning of the series, since it cannot know better, and its rate falls. Here a series that ended
 * is not there any more, so a gap means that nothing was collected, and
 * - the window ends at the newest point: a source that falls silent must not look like load that fades;
 * - a rate over fewer points than the window could hold is that of the time collected: a restarted adapter
 *   must not see a fraction of the load. An increase stays what was counted.
 */
export function evaluateCollected(series: Series, window: Signal['window']): WindowResult {
  const { length, lastMs, covered } = series
  if (covered !== undefined && (window.function === 'rate' || window.function === 'ewma'))
    return evaluateCovered(series, window, covered)
  if (window.function !== 'rate' || series.kind === 'delta' || length < 2)
    return evaluateWindow(series, window, lastMs)
  // Windows are open on the left: one millisecond more takes the first point in.
  const collectedMs = lastMs - series.timeAt(0) + 1
  if (collectedMs >= window.durationMs) return evaluateWindow(series, window, lastMs)
  return evaluateWindow(series, { ...window, durationMs: collectedMs }, lastMs)
}

/** What must be known of a window for a rate to be told: a second is too short to stand for a minute. */
const KNOWN_SHARE_MIN = 0.25
/** And so much is enough for any. */
const KNOWN_MAX_MS = 10_000

/**
 * Counts whose time is known, such as reports: the window ends with the last step that is told whole, and is only
 * as long as what is known. So a restarted adapter tells the load, or that it does not know yet.
 */
function evaluateCovered(
  series: Series,
  window: Signal['window'],
  { fromMs, untilMs }: NonNullable<Series['covered']>,
): WindowResult {
  const whole = series.firstAfter(untilMs)
  if (whole === 0) return { state: 'warming-up' }
  const endMs = series.timeAt(whole - 1)
  const durationMs = Math.min(window.durationMs, endMs - fromMs)
  const leastMs = Math.min(KNOWN_SHARE_MIN * window.durationMs, KNOWN_MAX_MS)
  // One that was told before has not just joined: it is missed.
  if (durationMs < leastMs)
    return { state: series.timeAt(0) <= fromMs ? 'interrupted' : 'warming-up' }
  return evaluateWindow(series, { ...window, durationMs }, endMs)
}
