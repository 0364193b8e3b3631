const EVERY_MS = 25

/**
 * How long `work` took, less what timers came late by meanwhile: a machine that stands still, or gives its cores to
 * others, is not the work's doing. Not for work that keeps the thread busy itself.
 */
export async function unhinderedMs(work: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now()
  let lookedMs = beganMs
  let lateMs = 0
  const look = () => {
    const nowMs = performance.now()
    lateMs += Math.max(0, nowMs - lookedMs - EVERY_MS)
    lookedMs = nowMs
  }
  const timer = setInterval(look, EVERY_MS)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  look()
  return performance.now() - beganMs - lateMs
}
