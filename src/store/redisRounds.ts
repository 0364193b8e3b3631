import { TidelineError } from '../errors.ts'
import type { Clock } from '../ports.ts'
import { failureOf } from '../sources/failure.ts'
import { abortable, withDeadline } from '../sources/poll.ts'
import type { Answer, Question, Route } from '../sources/redis/routes.ts'

/** Of a round trip. */
const TIMEOUT_MS = 3000

interface Asked {
  readonly question: Question
  readonly answered: (answer: Answer) => void
}

/** Puts what is asked at one time into one round trip. */
export class Rounds {
  readonly #settings: { readonly route: Route; readonly clock: Clock }
  #waiting: Asked[] = []
  #running = false

  constructor(settings: { readonly route: Route; readonly clock: Clock }) {
    this.#settings = settings
  }

  ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const asked = new Promise<Answer>((answered) => this.#waiting.push({ question, answered }))
    if (!this.#running) void this.#run()
    return abortable(asked, signal)
  }

  async #run(): Promise<void> {
    this.#running = true
    // Whoever asks in this very step goes along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const round = this.#waiting
      this.#waiting = []
      await this.#round(round)
    }
    this.#running = false
  }

  async #round(round: readonly Asked[]): Promise<void> {
    const { route, clock } = this.#settings
    const questions = round.map(({ question }) => question)
    const answered = (index: number, answer: Answer) => round[index]?.answered(answer)
    await withDeadline(clock, TIMEOUT_MS, undefined, async (deadline) => {
      try {
        await route.ask(questions, answered, deadline)
      } catch (thrown) {
        const failure = deadline.aborted
          ? new TidelineError('timeout', `Redis had no answer within ${TIMEOUT_MS} ms`, thrown)
          : failureOf(thrown)
        for (const one of round) one.answered(failure)
      }
    })
  }
}
