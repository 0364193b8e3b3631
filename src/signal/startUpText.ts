import { secondsText } from '../duration.ts'
import type { MeasuredStartUp } from '../forecast/startUpHistory.ts'
import type { Stabilization, StartUp } from '../model.ts'

type Predictive = Extract<Stabilization, { policy: 'predictive' }>

/** What is taken as long as nothing was measured, or nothing is to be. */
export function configuredStartUp({ startDelayMs, startUp }: Predictive): StartUp {
  const words = `a pod takes ${secondsText(startDelayMs)} to start, as configured`
  const reason = startUp === undefined ? words : `${words}: none seen yet`
  return { ms: startDelayMs, of: 'configured', seen: 0, reason }
}

/** What was measured, within the bounds that are configured. */
export function boundedStartUp({ ms, seen }: MeasuredStartUp, { startUp }: Predictive): StartUp {
  const { quantile = 1, leastMs = 0, mostMs = Infinity } = startUp ?? {}
  const bounded = Math.min(Math.max(ms, leastMs), mostMs)
  const percent = Number((quantile * 100).toPrecision(6))
  const words = `a pod takes ${secondsText(ms)} to start (p${percent} of ${seen} seen)`
  const bound = bounded > ms ? 'min' : 'max'
  const reason = bounded === ms ? words : `${words}, taken as ${secondsText(bounded)} by ${bound}`
  return { ms: bounded, of: 'measured', seen, reason }
}
