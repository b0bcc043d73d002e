/**
 * Threads, read newest first and page by page: a conversation opens as fast with 10,000 messages as with ten. What lies
 * before the oldest page that was read stays unread, and no event puts a single message there, with a hole behind it.
 */
import type { Message } from '../api'
import { inOrder, type Store } from './store'

/** A page: some screens of messages, and one call. */
export const PAGE = 100
/** The longest page of the API, for whoever wants many. */
export const LONG_PAGE = 200
/** As many stay of a thread that nobody looks at; whoever scrolls back reads the rest again. */
export const KEPT = 2000
/** How far a thread that nobody looks at grows beyond a page before its oldest messages go. */
export const GROWTH = 50

type Answer = { items: Message[]; next?: string | null }
type State = 'loading' | 'ready' | 'failed'
/** A page that was read: what asks for it, and its oldest message. */
interface Page {
  after: string | undefined
  oldest: Message
}

export class Threads {
  /** Whether the newest page is there. */
  readonly loaded: Map<string, State>
  /** What asks for the page before the oldest one, for threads that have one. */
  readonly older: Map<string, string>
  private readonly pages = new Map<string, Page[]>()
  private readonly asking = new Map<string, Promise<void>>()
  /** How many pages of a thread are on their way. */
  private readonly reading = new Map<string, number>()

  constructor(
    private readonly store: Store,
    private readonly read: (id: string, after: string | undefined, limit: number) => Promise<Answer>,
    maps: <V>() => Map<string, V> = () => new Map()
  ) {
    this.loaded = maps()
    this.older = maps()
  }

  /** Reads the newest page; `anew`: although it is there, since events were missed for good. */
  async load(id: string, anew = false): Promise<void> {
    const state = this.loaded.get(id)
    if (state === 'loading' || (state === 'ready' && !anew)) return
    if (state !== 'ready') this.loaded.set(id, 'loading')
    try {
      await this.page(id, undefined)
      this.loaded.set(id, 'ready')
    } catch {
      // What is there stays, unless nothing is.
      if (this.loaded.get(id) !== 'ready') this.loaded.set(id, 'failed')
    }
  }

  /** Reads the page before the oldest one; false: it could not be read. One at a time. */
  async more(id: string, limit = PAGE): Promise<boolean> {
    const after = this.older.get(id)
    if (after === undefined) return true
    const asking = this.asking.get(id) ?? this.page(id, after, limit).finally(() => this.asking.delete(id))
    this.asking.set(id, asking)
    return asking.then(() => true, () => false)
  }

  /** Reads back to the thread's beginning, while somebody wants it; false: a page could not be read. */
  async back(id: string, wanted: () => boolean): Promise<boolean> {
    while (this.older.has(id) && wanted()) if (!(await this.more(id, LONG_PAGE))) return false
    return true
  }

  /** What asks for the page on which a message is; undefined: for the newest one, on which all are that came since. */
  place(id: string, message: Message): string | undefined {
    return this.pages.get(id)?.find((page) => inOrder(message, page.oldest) >= 0)?.after
  }

  /** Lets go of the oldest pages of a long thread. */
  trim(id: string) {
    const pages = this.pages.get(id)
    if (!pages) return
    while (pages.length > 1 && (this.store.threads.get(id)?.size ?? 0) > KEPT) {
      const gone = pages.pop()!
      this.older.set(id, gone.after!)
      this.store.begin(id, pages.at(-1)!.oldest)
    }
  }

  /**
   * Lets go of the old messages of a thread that grows while nobody looks at it: on a busy day, for hours. Its
   * newest page stays, for the list and for the first moment of whoever opens it, and reads it again.
   */
  slim(id: string) {
    if (this.reading.has(id) || (this.store.threads.get(id)?.size ?? 0) <= PAGE + GROWTH) return
    this.store.begin(id, this.store.thread(id).at(-PAGE))
    this.loaded.delete(id)
    this.older.delete(id)
    this.pages.delete(id)
  }

  /** Lets go of all of a thread: whoever opens it again reads it again. */
  forget(id: string) {
    if (this.loaded.get(id) === 'loading' || this.reading.has(id)) return
    this.loaded.delete(id)
    this.older.delete(id)
    this.pages.delete(id)
    this.store.forgetThread(id)
  }

  private async page(id: string, after: string | undefined, limit = PAGE) {
    this.reading.set(id, (this.reading.get(id) ?? 0) + 1)
    try {
      await this.readPage(id, after, limit)
    } finally {
      const others = this.reading.get(id)! - 1
      if (others > 0) this.reading.set(id, others)
      else this.reading.delete(id)
    }
  }

  /** A page, or as many as it takes to find a message: one may be empty. */
  private async readPage(id: string, after: string | undefined, limit: number) {
    const newest = after === undefined
    let cursor = after
    let items: Message[]
    let next: string | undefined
    do {
      const answer = await this.read(id, cursor, limit)
      items = answer.items.map((it) => (it.interaction === id ? it : { ...it, interaction: id }))
      next = answer.next ?? undefined
      if (items.length === 0) cursor = next
    } while (items.length === 0 && next !== undefined)
    // A newest page that came meanwhile has begun the thread anew: this one belongs to the thread of before.
    if (!newest && this.older.get(id) !== after) return
    const oldest = items.at(-1)
    // Before its messages, or the store would take none of them.
    this.store.begin(id, next === undefined ? undefined : oldest)
    for (const message of items) this.store.applyMessage(message)
    if (oldest) this.pages.set(id, [...(newest ? [] : (this.pages.get(id) ?? [])), { after: cursor, oldest }])
    if (next === undefined) this.older.delete(id)
    else this.older.set(id, next)
  }
}
