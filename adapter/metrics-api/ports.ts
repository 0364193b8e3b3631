/**
 * What the metrics API asks of its surroundings. The edge itself knows neither Kubernetes' review calls nor
 * its watch: `security/` and `cluster/` implement these and are handed in.
 */
import type { IncomingMessage } from 'node:http'
import type { Labels } from '../../src/model.ts'

/** A requester who proved who they are. `groups` already holds `system:authenticated`. */
export interface User {
  readonly name: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/**
 * - `user`: credentials were given and hold;
 * - `anonymous`: no credentials were given; served as `system:anonymous`, group `system:unauthenticated`;
 * - `invalid`: credentials were given and do not hold: answered 401. `message` is for the log alone.
 */
export type Identity =
  | { readonly kind: 'user'; readonly user: User }
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'invalid'; readonly message: string }

/**
 * Tells who asks. Answers at once where it can (a client certificate, a cached token), because the answer
 * decides what a request costs; else with a promise. A throw or rejection means "cannot tell now" and is
 * answered 503, never as anonymous.
 */
export interface Authenticator {
  authenticate(request: IncomingMessage): Identity | Promise<Identity>
}

/** Attributes as a SubjectAccessReview takes them. Empty strings are left out. */
export interface ResourceAttributes {
  readonly kind: 'resource'
  /** `get` for custom metrics, `list` for external ones. */
  readonly verb: string
  readonly group: string
  readonly version: string
  /** Undefined for objects of the whole cluster. */
  readonly namespace?: string
  /** External: the metric. Custom: the plural with its group (`pods`, `deployments.apps`). */
  readonly resource: string
  /** Custom: the metric. */
  readonly subresource?: string
  /** Custom: the object's name or `*`. */
  readonly name?: string
}

export interface NonResourceAttributes {
  readonly kind: 'nonResource'
  /** The HTTP method in lower case. */
  readonly verb: string
  readonly path: string
}

export type Attributes = ResourceAttributes | NonResourceAttributes

export interface Decision {
  readonly allowed: boolean
  /** Appended to the 403 answer; must hold no secret. */
  readonly reason?: string
}

/**
 * Tells whether a user may. `system:masters` and other shortcuts belong to the implementation. A throw or
 * rejection means "cannot tell now": the request is refused with 503 (fail closed).
 */
export interface Authorizer {
  authorize(user: User, attributes: Attributes): Decision | Promise<Decision>
}

/** A compiled label selector. */
export interface LabelSelector {
  /** The text it was compiled from; equal text gives the same selector. */
  readonly text: string
  matches(labels: Labels): boolean
}

export interface DirectoryPod {
  readonly name: string
  readonly uid?: string
  readonly labels: Labels
}

/** The pods there are now, from a watch. Reading is synchronous and makes no call. */
export interface PodDirectory {
  /**
   * Undefined once the directory holds all pods; else why it does not (yet), as a sentence for people:
   * Pods metrics by selector are then answered 503.
   */
  notSynced(): string | undefined
  /** Pods of the namespace whose labels match, in any order. */
  matching(namespace: string, selector: LabelSelector): Iterable<DirectoryPod>
  get(namespace: string, name: string): DirectoryPod | undefined
}
