import type { PushInlet, PushReceiver } from '../../src/ports.ts'

/** Passes reports to the source that is there now. While there is none they are to be sent again. */
export function createInlet(): PushInlet & PushReceiver {
  let present: PushReceiver | undefined
  return {
    attach(receiver) {
      present = receiver
      return () => {
        if (present === receiver) present = undefined
      }
    },
    report: (report) => present?.report(report) ?? NOBODY,
    measure: (measurements) => present?.measure(measurements) ?? NOBODY,
  }
}

const NOBODY = {
  outcome: 'refused',
  reason: 'unavailable',
  message: 'no source of kind push takes reports now: add one to spec.sources',
} as const
