import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  Partitioners,
  ResourcePatternTypes,
} from 'kafkajs'
import type { Admin, EachMessagePayload, Producer } from 'kafkajs'
import { systemClock } from '../../src/clock.ts'
import { Brokers } from '../../src/sources/kafka/kafkajs/brokers.ts'
import { kafkaLagSource } from '../../src/sources/kafka/lag/lag.ts'
import { RecordingLogger } from '../kit/recordingLogger.ts'
import { RecordingSink } from '../kit/recordingSink.ts'
import type { RecordedFailure } from '../kit/recordingSink.ts'
import { secretsFrom } from '../kit/trial.ts'
import { createTopic } from '../setup/kafkaPeer.ts'
import { startKafka } from '../setup/kafkaServer.ts'
import type { KafkaOptions, KafkaServer } from '../setup/kafkaServer.ts'
import { eventually } from '../setup/running.ts'

/** The source running over a real broker, and what it told. */
export class LagRun {
  readonly sink = new RecordingSink()
  readonly log = new RecordingLogger()
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  readonly #origin: string

  constructor(
    config: Readonly<Record<string, unknown>>,
    origin: string,
    secrets: Readonly<Record<string, string>>,
  ) {
    this.#origin = origin
    this.#running = kafkaLagSource
      .create(kafkaLagSource.schema.parse({ interval: '1s', ...config }), {
        name: 'k',
        clock: systemClock,
        sink: this.sink,
        log: this.log,
        secrets: secretsFrom(secrets),
      })
      .run(this.#stop.signal)
  }

  value(metric: string, partition?: number, origin = this.#origin): number | undefined {
    const wanted = partition === undefined ? undefined : String(partition)
    return this.#batch(origin)?.samples.find(
      (sample) => sample.metric === metric && sample.labels['partition'] === wanted,
    )?.value
  }

  notes(metric: string, origin = this.#origin): readonly string[] {
    const notes = this.#batch(origin)?.notes ?? []
    return notes.filter((note) => note.metric === metric).map(({ text }) => text)
  }

  failure(origin = this.#origin): RecordedFailure | undefined {
    return this.sink.failures.findLast((failure) => failure.origin === origin)
  }

  /** Waits for a batch that is collected from now on. */
  async next(): Promise<void> {
    const fromMs = systemClock.nowMs()
    await this.until(() => (this.#batch(this.#origin)?.atMs ?? 0) > fromMs)
  }

  async until(done: () => unknown, deadlineMs = 20_000): Promise<void> {
    const endMs = performance.now() + deadlineMs
    while (!(await done())) {
      if (performance.now() > endMs) {
        const told = [this.sink.batches.at(-1), this.sink.failures.slice(-3)]
        throw new Error(`not within ${deadlineMs} ms; ${JSON.stringify(told)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  #batch(origin: string) {
    return this.sink.batches.findLast((batch) => batch.origin === origin)
  }
}

export type Right = readonly ['topic' | 'group', 'READ' | 'DESCRIBE', string]

/** What a run reads: a group's entry in the configuration. */
interface GroupEntry {
  readonly group: string
  readonly topics: readonly string[]
  readonly [field: string]: unknown
}

/** A listener on which one user is known by a password. */
export function plainUser(user: string, password: string) {
  return {
    protocol: 'SASL_PLAINTEXT',
    properties: {
      'sasl.enabled.mechanisms': 'PLAIN',
      'plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${user}="${password}";`,
    },
  } as const
}

function entryOf(user: string, resource: Right[0], operation: Right[1]) {
  return {
    resourceType: resource === 'topic' ? AclResourceTypes.TOPIC : AclResourceTypes.GROUP,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${user}`,
    host: '*',
    operation: AclOperationTypes[operation],
    permissionType: AclPermissionTypes.ALLOW,
  }
}

/** A real broker, with an administrator and a producer that are not the adapter's. */
export class KafkaTrial {
  readonly server: KafkaServer
  readonly admin: Admin
  readonly #kafka: Kafka
  readonly #producer: Producer
  readonly #brokers: Brokers
  readonly #runs: LagRun[] = []
  #names = 0

  private constructor(server: KafkaServer, kafka: Kafka) {
    this.server = server
    this.#kafka = kafka
    this.admin = kafka.admin()
    this.#brokers = new Brokers(
      { brokers: [...server.brokers], clientId: 'peer' },
      { secrets: secretsFrom({}), log: new RecordingLogger() },
    )
    this.#producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  }

  static async start(options: KafkaOptions = {}): Promise<KafkaTrial> {
    const server = await startKafka(options)
    const kafka = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING })
    const trial = new KafkaTrial(server, kafka)
    await trial.admin.connect()
    await trial.#producer.connect()
    return trial
  }

  async stop(): Promise<void> {
    await this.endRuns()
    await this.#producer.disconnect()
    await this.admin.disconnect()
    this.#brokers.close()
    await this.server.stop()
  }

  /** A topic, and the name of a group, that no other test has. */
  async topic(partitions: number): Promise<{ readonly topic: string; readonly group: string }> {
    this.#names += 1
    const topic = `topic-${this.#names}`
    await this.remake(topic, partitions)
    return { topic, group: `group-${this.#names}` }
  }

  async remake(topic: string, numPartitions: number): Promise<void> {
    const replicationFactor = this.server.nodes.length
    await createTopic(this.admin, { topic, numPartitions, replicationFactor })
  }

  async produce(
    topic: string,
    partition: number,
    count: number,
    timestampMs: (index: number) => number = () => Date.now(),
  ): Promise<void> {
    if (count === 0) return
    await this.#producer.send({ topic, messages: messagesOf(partition, count, timestampMs) })
  }

  /** Commits for a group without members, at once: the library's own way takes five seconds. */
  async commit(
    groupId: string,
    topic: string,
    offsets: Readonly<Record<number, number>>,
  ): Promise<void> {
    const partitions = Object.entries(offsets).map(([partition, offset]) => ({
      partition: Number(partition),
      offset: String(offset),
      metadata: null,
    }))
    await eventually('a commit', async () => {
      const coordinator = await this.#brokers.coordinator(groupId)
      await coordinator.offsetCommit({
        groupId,
        memberId: '',
        groupGenerationId: -1,
        topics: [{ topic, partitions }],
      })
    })
  }

  /** Deletes what is before `offset`, as retention does. */
  async retain(topic: string, partition: number, offset: number): Promise<void> {
    const partitions = [{ partition, offset: String(offset) }]
    await eventually('deletion of records', () =>
      this.admin.deleteTopicRecords({ topic, partitions }),
    )
  }

  /** Messages that are in the log and neither committed nor aborted. */
  async openTransaction(
    topic: string,
    partition: number,
    count: number,
  ): Promise<{ commit(): Promise<void> }> {
    const producer = this.#kafka.producer({
      transactionalId: `transaction-${topic}`,
      maxInFlightRequests: 1,
      idempotent: true,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: messagesOf(partition, count, () => Date.now()) })
    return {
      async commit() {
        await transaction.commit()
        await producer.disconnect()
      },
    }
  }

  /** Resolves once it is a member of the group. */
  async consume(
    groupId: string,
    topic: string,
    eachMessage: (payload: EachMessagePayload) => Promise<void>,
  ): Promise<{ stop(): Promise<void> }> {
    const consumer = this.#kafka.consumer({
      groupId,
      heartbeatInterval: 500,
      rebalanceTimeout: 60_000,
      maxWaitTimeInMs: 200,
      retry: { initialRetryTime: 100, maxRetryTime: 200 },
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const joined = Promise.withResolvers<void>()
    consumer.on(consumer.events.GROUP_JOIN, () => joined.resolve())
    await consumer.run({ eachMessage, partitionsConsumedConcurrently: 4, autoCommitInterval: 200 })
    await joined.promise
    return { stop: () => consumer.disconnect() }
  }

  async allow(user: string, ...rights: readonly Right[]): Promise<void> {
    const acl = rights.map(([resource, operation, resourceName]) => ({
      ...entryOf(user, resource, operation),
      resourceName,
    }))
    await this.admin.createAcls({ acl })
  }

  async deny(user: string, ...rights: readonly Right[]): Promise<void> {
    const filters = rights.map(([resource, operation, resourceName]) => ({
      ...entryOf(user, resource, operation),
      resourceName,
    }))
    await this.admin.deleteAcls({ filters })
  }

  /** Runs the source over these groups until the test ends. */
  run(...groups: readonly GroupEntry[]): LagRun {
    return this.#start(groups, { brokers: this.server.brokers })
  }

  /** The same as a user who must obey the ACLs. */
  runAs(user: string, password: string, ...groups: readonly GroupEntry[]): LagRun {
    const sasl = { mechanism: 'plain', username: user, password: { env: 'PASSWORD' } }
    return this.#start(groups, { brokers: this.server.secured, sasl }, { PASSWORD: password })
  }

  #start(
    groups: readonly GroupEntry[],
    connection: Readonly<Record<string, unknown>>,
    secrets: Readonly<Record<string, string>> = {},
  ): LagRun {
    const [first] = groups
    const origin = `${first?.topics[0]}@${first?.group}`
    const run = new LagRun({ ...connection, groups }, origin, secrets)
    this.#runs.push(run)
    return run
  }

  async endRuns(): Promise<void> {
    await Promise.all(this.#runs.splice(0).map((run) => run.stop()))
  }
}

function messagesOf(partition: number, count: number, timestampMs: (index: number) => number) {
  return Array.from({ length: count }, (_, index) => ({
    value: `message ${index}`,
    partition,
    timestamp: String(timestampMs(index)),
  }))
}
