/** What both Kafka sources need to be held to the contract: a real broker behind a door that can break, and a user. */
import type { Harness } from '../kit/sourceContract.ts'
import { openFrontDoor } from '../setup/frontDoor.ts'
import type { FrontDoor } from '../setup/frontDoor.ts'
import { KafkaTrial, plainUser } from './kafkaLagTrial.ts'
import type { Right } from './kafkaLagTrial.ts'

const USER = 'tideline'

/** The answer to a client's first request, with an error that there is not. */
const GARBAGE = '\0\0\0\x08\0\0\0\0\x7f\x7f\x7f\x7f'

export class KafkaDoor {
  readonly trial: KafkaTrial
  readonly #door: FrontDoor
  readonly #password: string

  private constructor(trial: KafkaTrial, door: FrontDoor, password: string) {
    this.trial = trial
    this.#door = door
    this.#password = password
  }

  static async open(password: string): Promise<KafkaDoor> {
    const behind = { port: 0 }
    const door = await openFrontDoor(behind)
    const trial = await KafkaTrial.start({
      secured: { ...plainUser(USER, password), advertisedPort: door.port },
    })
    behind.port = Number(trial.server.secured[0]?.split(':')[1])
    return new KafkaDoor(trial, door, password)
  }

  /** For a user that has these rights; clients of the source hold so many connections at one time. */
  async harness(
    rights: readonly Right[],
    connections: number,
  ): Promise<Pick<Harness, 'secrets' | 'misbehave' | 'behave' | 'requests' | 'close'>> {
    const door = this.#door
    const allow = () => this.trial.allow(USER, ...rights)
    await allow()
    Object.assign(door.counts, { writes: 0, connections: 0, maxOpen: 0 })
    return {
      secrets: { KAFKA_PASSWORD: this.#password },
      misbehave: async (how) => {
        if (how === 'refuse') await door.refuse()
        else if (how === 'hang') door.hang()
        else if (how === 'garbage') door.answer(GARBAGE)
        else await this.trial.deny(USER, ...rights)
      },
      behave: async () => {
        await allow()
        await door.forward()
      },
      requests: () => ({
        count: door.counts.writes,
        maxConcurrent: Math.ceil(door.counts.maxOpen / connections),
      }),
      close: () => door.forward(),
    }
  }

  /** How a source comes through the door. */
  connection(): object {
    return {
      brokers: [`127.0.0.1:${this.#door.port}`],
      sasl: { mechanism: 'plain', username: USER, password: { env: 'KAFKA_PASSWORD' } },
    }
  }

  async close(): Promise<void> {
    await this.trial.stop()
    await this.#door.close()
  }
}
