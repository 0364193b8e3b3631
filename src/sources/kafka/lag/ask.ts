import { TidelineError } from '../../../errors.ts'
import { failureOf } from '../../failure.ts'
import type { KafkaClient, OffsetQuery, TopicDescription } from '../client.ts'
import type { Subject } from './groupConfig.ts'

/** What one thing that was asked for came to. */
export type Answer<T> = T | TidelineError

type Offsets = ReadonlyMap<number, number>

/** What the broker said in one poll of one topic of one group. */
export interface Found {
  readonly id: string | undefined
  /** Those that the group's entry chooses. */
  readonly partitions: readonly number[]
  readonly earliest: Offsets
  readonly end: Offsets
  readonly committed: Offsets
  /** How the group is; a failure where that alone cannot be told. */
  readonly group: Answer<Awaited<ReturnType<KafkaClient['group']>>>
}

/**
 * The questions of one poll. Each thing is asked for once, however many groups want to know it: all topics in one
 * request, then for each topic its first and its last offsets, and for each group its commits and its state, all
 * at one time. One that fails takes only those down that need it.
 */
export class Poll {
  readonly #client: KafkaClient
  readonly #signal: AbortSignal
  readonly #subjects: readonly Subject[]
  readonly #asked = new Map<string, Promise<unknown>>()

  constructor(client: KafkaClient, subjects: readonly Subject[], signal: AbortSignal) {
    this.#client = client
    this.#subjects = subjects
    this.#signal = signal
  }

  /** Rejects only when the poll is broken off. */
  async find(subject: Subject): Promise<Answer<Found>> {
    const topics = await this.#topics()
    const topic = descriptionOf(subject.topic, topics)
    if (topic instanceof TidelineError) return topic
    const chosen = chosenOf(subject, topic)
    if (chosen instanceof TidelineError) return chosen
    const { isolation } = subject.policy
    const [earliest, end, committed, group] = await Promise.all([
      this.#offsets(subject.topic, topics, 'earliest', 'read-uncommitted'),
      this.#offsets(subject.topic, topics, 'latest', isolation),
      this.#committed(subject, topics),
      this.#once(`group ${subject.group}`, () => this.#client.group(subject.group, this.#signal)),
    ])
    for (const part of [earliest, end, committed]) if (part instanceof TidelineError) return part
    if (isFailure(earliest) || isFailure(end) || isFailure(committed))
      throw new Error('unreachable')
    return { id: topic.id, partitions: chosen, earliest, end, committed, group }
  }

  #topics(): Promise<Answers<TopicDescription>> {
    const names = [...new Set(this.#subjects.map(({ topic }) => topic))]
    return this.#shared('topics', () =>
      together(names, (some) => this.#client.topics(some, this.#signal), this.#signal),
    )
  }

  #offsets(
    topic: string,
    topics: Answers<TopicDescription>,
    at: 'earliest' | 'latest',
    isolation: OffsetQuery['isolation'],
  ): Promise<Answer<Offsets>> {
    const partitions = this.#partitionsOf(topic, topics)
    return this.#once(`${at} ${isolation} ${topic}`, async () => {
      const query = { topic, partitions, at, isolation }
      const found = await this.#client.listOffsets(query, this.#signal)
      const offsets = new Map<number, number>()
      for (const partition of partitions) {
        const offset = found.get(partition)?.offset
        if (offset === undefined)
          throw new TidelineError(
            'bad-response',
            `the broker told no ${at} offset of partition ${partition} of topic ${topic}`,
          )
        offsets.set(partition, offset)
      }
      return offsets
    })
  }

  async #committed(
    { group, topic }: Subject,
    topics: Answers<TopicDescription>,
  ): Promise<Answer<Offsets>> {
    const names = this.#subjects
      .filter((subject) => subject.group === group && !isFailure(topics.get(subject.topic)))
      .filter((subject) => topics.has(subject.topic))
      .map((subject) => subject.topic)
    const ask = (some: readonly string[]) =>
      this.#client.committed(
        group,
        new Map(some.map((name) => [name, this.#partitionsOf(name, topics)])),
        this.#signal,
      )
    const answers = await this.#shared(`committed ${group}`, () =>
      together(names, ask, this.#signal),
    )
    return answers.get(topic) ?? new Map()
  }

  /** Every partition that some group's entry chooses. */
  #partitionsOf(topic: string, topics: Answers<TopicDescription>): readonly number[] {
    const description = topics.get(topic)
    if (description === undefined || description instanceof TidelineError) return []
    const wanted = this.#subjects.filter((subject) => subject.topic === topic)
    if (wanted.some(({ policy }) => policy.partitions === undefined)) return description.partitions
    const chosen = new Set(wanted.flatMap(({ policy }) => policy.partitions ?? []))
    return description.partitions.filter((partition) => chosen.has(partition))
  }

  #once<T>(question: string, ask: () => Promise<T>): Promise<Answer<T>> {
    return this.#shared(question, () => answer(ask, this.#signal))
  }

  #shared<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#asked.get(question)
    // The question's text tells what its answer is.
    if (known !== undefined) return known as Promise<T>
    const asked = ask()
    this.#asked.set(question, asked)
    return asked
  }
}

type Answers<T> = ReadonlyMap<string, Answer<T>>

function isFailure(value: unknown): value is TidelineError {
  return value instanceof TidelineError
}

/** A failure as a value; rejects only when `signal` aborted. */
async function answer<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<Answer<T>> {
  try {
    return await ask()
  } catch (thrown) {
    if (signal.aborted) throw thrown
    return failureOf(thrown)
  }
}

/** Failures that may be those of one name among several. */
const OF_ONE: ReadonlySet<string> = new Set([
  'unauthorized',
  'not-found',
  'bad-response',
  'wrong-type',
])

/** Asks for all names in one request, and for each alone where one of them spoils the answer of all. */
async function together<T>(
  names: readonly string[],
  ask: (names: readonly string[]) => Promise<ReadonlyMap<string, T>>,
  signal: AbortSignal,
): Promise<Answers<T>> {
  if (names.length === 0) return new Map()
  const all = await answer(() => ask(names), signal)
  if (!isFailure(all)) return all
  const answers = new Map<string, Answer<T>>()
  if (names.length === 1 || !OF_ONE.has(all.code)) {
    for (const name of names) answers.set(name, all)
    return answers
  }
  const each = await Promise.all(names.map((name) => answer(() => ask([name]), signal)))
  for (const [index, name] of names.entries()) {
    const alone = each[index]
    const found = isFailure(alone) ? alone : alone?.get(name)
    if (found !== undefined) answers.set(name, found)
  }
  return answers
}

function descriptionOf(topic: string, topics: Answers<TopicDescription>): Answer<TopicDescription> {
  return (
    topics.get(topic) ??
    new TidelineError('not-found', `topic ${topic} does not exist: create it, or mend its name`)
  )
}

function chosenOf(
  { topic, policy }: Subject,
  { partitions }: TopicDescription,
): Answer<readonly number[]> {
  if (policy.partitions === undefined) return partitions
  const there = new Set(partitions)
  const missing = policy.partitions.filter((partition) => !there.has(partition))
  if (missing.length === 0) return policy.partitions
  return new TidelineError(
    'not-found',
    `topic ${topic} has no partition ${missing.slice(0, 5).join(', ')}: it has ${partitions.length}, the first is 0`,
  )
}
