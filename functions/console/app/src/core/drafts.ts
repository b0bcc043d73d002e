/** What an agent has written and not sent yet: kept in this browser, and the same in all of its windows. */
import type { AnswerWithFile } from './outgoing'

/** A draft's translation: of which text, what is sent, and in which language. */
export interface DraftTranslation {
  of: string
  text: string
  to: string
}

export interface Draft {
  text: string
  mode: 'message' | 'note'
  replyTo?: string
  translation?: DraftTranslation
  answer?: AnswerWithFile
  /** The text that waits while a canned answer is looked for in its place. */
  behind?: string
  /** When it was changed. */
  at: number
}

/** What the browser keeps: one agent's drafts, by interaction. */
export interface Kept {
  agent: string
  kept: [string, Draft][]
}

export interface DraftPorts {
  /** Changes what is kept, in one step: other windows do the same. */
  update(change: (found: Kept | undefined) => Kept): Promise<void>
  /** Keeps drafts before it returns, for the next page that is loaded: this one ends. */
  leave(kept: Kept): void
  /** Tells this agent's other windows. */
  tell(changed: [string, Draft][]): void
  timer(run: () => void, ms: number): () => void
  now(): number
}

/** A pause in writing: nothing is kept for each letter. */
const PAUSE = 300
const DAYS = 7

export const oldest = (now: number) => now - DAYS * 86_400_000
export const isLive = (draft: Draft, now: number) => Boolean(draft.text || draft.behind) && draft.at > oldest(now)

/** What is kept after these drafts have changed here. The later of two windows' words is kept, and other agents' none. */
export function merged(found: Kept | undefined, agent: string, changed: [string, Draft][], now: number): Kept {
  const all = new Map(found?.agent === agent ? found.kept : [])
  for (const [id, draft] of changed) if ((all.get(id)?.at ?? 0) <= draft.at) all.set(id, draft)
  return { agent, kept: [...all].filter(([, draft]) => isLive(draft, now)) }
}

/** All of a draft but its time. Plain: a browser keeps no object that a screen watches. */
const contents = ({ text, mode, replyTo, translation, answer, behind }: Draft) => JSON.stringify({ text, mode, replyTo, translation, answer, behind })

export class Drafts {
  /** The contents that were kept or told last, by interaction: what came from another window is not told back. */
  private readonly known = new Map<string, string>()
  private readonly changed = new Set<string>()
  /** Drafts that are being kept. */
  private readonly keeping = new Map<string, number>()
  private saving: (() => void) | undefined
  private ended = false

  constructor(
    private readonly agent: string,
    private readonly ports: DraftPorts,
    private readonly make: (draft: Draft) => Draft = (draft) => draft,
    private readonly all: Map<string, Draft> = new Map()
  ) {}

  of(id: string): Draft {
    let draft = this.all.get(id)
    if (!draft) this.all.set(id, (draft = this.make({ text: '', mode: 'message', at: 0 })))
    return draft
  }

  /** A draft has changed on the screen. */
  touched(id: string) {
    const draft = this.of(id)
    if (this.ended || contents(draft) === this.known.get(id)) return
    draft.at = this.ports.now()
    this.changed.add(id)
    this.saving?.()
    this.saving = this.ports.timer(() => this.save(), PAUSE)
  }

  /** What was written in one conversation goes on in another. */
  move(from: string, to: string) {
    const [before, after] = [this.of(from), this.of(to)]
    if (!before.text) return
    after.text = [after.text, before.text].filter(Boolean).join('\n')
    after.mode = before.mode
    before.text = ''
    this.touched(from)
    this.touched(to)
  }

  private plain(id: string): [string, Draft] {
    const draft = this.of(id)
    return [id, { ...(JSON.parse(contents(draft)) as Draft), at: draft.at }]
  }

  private save() {
    this.saving?.()
    if (this.changed.size === 0) return
    const changed = [...this.changed].map((id) => this.plain(id))
    this.changed.clear()
    for (const [id, draft] of changed) {
      this.known.set(id, contents(draft))
      this.keeping.set(id, draft.at)
    }
    this.ports.tell(changed)
    const kept = () => { for (const [id, { at }] of changed) if (this.keeping.get(id) === at) this.keeping.delete(id) }
    // A browser that keeps nothing: the desk works without.
    void this.ports.update((found) => merged(found, this.agent, changed, this.ports.now())).then(kept, () => undefined)
  }

  /** The page ends, or may end: what was written in the last moment is kept as well. */
  leave() {
    if (this.ended) return
    const late = new Set([...this.changed, ...this.keeping.keys()])
    if (late.size > 0) this.ports.leave({ agent: this.agent, kept: [...late].map((id) => this.plain(id)) })
    this.save()
  }

  /** Takes what was kept, or what another window tells; later words of this window stay. */
  take(drafts: [string, Draft][]) {
    for (const [id, draft] of drafts) {
      const known = this.of(id)
      if (known.at >= draft.at) continue
      this.known.set(id, contents(draft))
      // Fields that are not there are taken away, too.
      Object.assign(known, { replyTo: undefined, translation: undefined, answer: undefined, behind: undefined }, draft)
    }
  }

  /** Forgets all of them: nothing is kept any more, whatever the screen still does. */
  clear() {
    this.ended = true
    this.saving?.()
    this.all.clear()
  }
}
