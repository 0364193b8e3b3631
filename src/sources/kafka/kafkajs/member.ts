import type Broker from 'kafkajs/src/broker/index.js'
import assignerProtocol from 'kafkajs/src/consumer/assignerProtocol.js'
import type { Clock } from '../../../ports.ts'
import type { Brokers } from './brokers.ts'

const { MemberAssignment, MemberMetadata } = assignerProtocol

/** How partitions are shared out; each member must know the same. Kafka's own `roundrobin` by name. */
const ASSIGNER = 'roundrobin'

export type Assignment = ReadonlyMap<string, readonly number[]>

export interface MemberSettings {
  readonly group: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  readonly clock: Clock
  /** Partitions of the topics as they are now; asked only where this member shares them out. */
  partitions(): Promise<Assignment>
}

/** Error codes after which a member joins again: it is not known any more, or others came or went. */
const ILLEGAL_GENERATION = 22
const UNKNOWN_MEMBER = 25
const REBALANCE = 27
const JOIN_AGAIN: readonly unknown[] = [ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCE]

/** A member of a consumer group by the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup). */
export class Member {
  readonly #settings: MemberSettings
  readonly #brokers: Brokers
  #coordinator: Broker | undefined
  #memberId = ''
  #generation = -1

  constructor(settings: MemberSettings, brokers: Brokers) {
    this.#settings = settings
    this.#brokers = brokers
  }

  /** Resolves with what this member has to read, once all members have joined. */
  async join(signal: AbortSignal): Promise<Assignment> {
    while (!signal.aborted) {
      try {
        return await this.#joinOnce()
      } catch (thrown) {
        if (!JOIN_AGAIN.includes(codeOf(thrown))) throw thrown
        if (codeOf(thrown) === UNKNOWN_MEMBER) this.#memberId = ''
      }
    }
    return new Map()
  }

  /** Resolves when the group shares out its partitions anew, or `signal` aborts; rejects when it is lost. */
  async beat(signal: AbortSignal): Promise<void> {
    const { group, clock, sessionTimeoutMs } = this.#settings
    while (!signal.aborted) {
      await clock.sleep(sessionTimeoutMs / 6, signal)
      if (signal.aborted) return
      const groupGenerationId = this.#generation
      try {
        await this.#coordinator?.heartbeat({
          groupId: group,
          memberId: this.#memberId,
          groupGenerationId,
        })
      } catch (thrown) {
        if (!JOIN_AGAIN.includes(codeOf(thrown))) throw thrown
        if (codeOf(thrown) === UNKNOWN_MEMBER) this.#memberId = ''
        return
      }
    }
  }

  /** Tells the broker how far the group is, for tools that look at it; nothing depends on it. */
  async commit(offsets: ReadonlyMap<string, ReadonlyMap<number, number>>): Promise<void> {
    const topics = [...offsets].map(([topic, partitions]) => ({
      topic,
      partitions: [...partitions].map(([partition, offset]) => ({
        partition,
        offset: String(offset),
        metadata: null,
      })),
    }))
    await this.#coordinator?.offsetCommit({
      groupId: this.#settings.group,
      memberId: this.#memberId,
      groupGenerationId: this.#generation,
      topics,
    })
  }

  async leave(): Promise<void> {
    if (this.#memberId === '') return
    await this.#coordinator?.leaveGroup({ groupId: this.#settings.group, memberId: this.#memberId })
    this.#memberId = ''
  }

  async #joinOnce(): Promise<Assignment> {
    const { group, topics, sessionTimeoutMs } = this.#settings
    const coordinator = await this.#brokers.coordinator(group)
    this.#coordinator = coordinator
    const joined = await coordinator.joinGroup({
      groupId: group,
      memberId: this.#memberId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      groupProtocols: [{ name: ASSIGNER, metadata: MemberMetadata.encode({ version: 1, topics }) }],
    })
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const isLeader = joined.leaderId === joined.memberId
    const members = joined.members.map(({ memberId }) => memberId)
    const { memberAssignment } = await coordinator.syncGroup({
      groupId: group,
      memberId: joined.memberId,
      generationId: joined.generationId,
      groupAssignment: isLeader ? shareOut(members, await this.#settings.partitions()) : [],
    })
    const decoded = MemberAssignment.decode(memberAssignment)
    return new Map(Object.entries(decoded?.assignment ?? {}))
  }
}

/** Round robin over all partitions, members in the order of their ids. */
function shareOut(members: readonly string[], partitions: Assignment) {
  const sorted = members.toSorted()
  const shares = sorted.map((): Record<string, number[]> => ({}))
  let next = 0
  for (const [topic, all] of partitions)
    for (const partition of all) {
      const share = shares[next++ % shares.length]
      if (share !== undefined) (share[topic] ??= []).push(partition)
    }
  return sorted.map((memberId, index) => ({
    memberId,
    memberAssignment: MemberAssignment.encode({ version: 1, assignment: shares[index] ?? {} }),
  }))
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
}
