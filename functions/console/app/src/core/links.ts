/**
 * Links to the files of threads. A page's are asked for in one call, by whichever of its files is drawn first, and kept
 * for as long as they are good.
 */
import type { AttachmentLinks, Message } from '../api'

/** What a file is shown by. */
export type Linked = Pick<AttachmentLinks, 'url' | 'thumbnail'>

export interface Ports {
  /** The links of a page, newest message first. */
  page(id: string, after: string | undefined): Promise<AttachmentLinks[]>
  one(id: string, message: string, index: number): Promise<Linked>
  /** What asks for the page on which a message is. */
  place(id: string, message: Message): string | undefined
  now(): number
}

/** A link is good for five minutes from when it was made. By this clock, which may be wrong, it was made after the asking. */
const GOOD = 4 * 60_000

export class Links {
  /** Links by thread, then by message and place in it, with the time until which they are good here. */
  private readonly known = new Map<string, Map<string, Linked & { until: number }>>()
  /** Pages that are on their way. */
  private readonly asking = new Map<string, Promise<void>>()

  constructor(private readonly ports: Ports) {}

  /** The links to a file. `refused` is a link that has not worked: another one is asked for, unless there is one. */
  async get(id: string, message: Message, index: number, refused?: Linked): Promise<Linked> {
    const good = () => {
      const it = this.known.get(id)?.get(`${message.id} ${index}`)
      return it && it.until > this.ports.now() && it.url !== refused?.url ? it : undefined
    }
    if (!good()) await this.page(id, this.ports.place(id, message))
    // A thread that has grown, or a file that was copied while the page was on its way.
    return good() ?? (await this.one(id, message.id, index))
  }

  /** Lets go of a thread's links. */
  forget(id: string) {
    this.known.delete(id)
  }

  private async one(id: string, message: string, index: number): Promise<Linked> {
    const until = this.ports.now() + GOOD
    const found = await this.ports.one(id, message, index)
    this.of(id).set(`${message} ${index}`, { ...found, until })
    return found
  }

  private of(id: string): Map<string, Linked & { until: number }> {
    const known = this.known.get(id) ?? new Map<string, Linked & { until: number }>()
    this.known.set(id, known)
    return known
  }

  private page(id: string, after: string | undefined): Promise<void> {
    const key = `${id} ${after ?? ''}`
    const asking = this.asking.get(key) ?? this.read(id, after).finally(() => this.asking.delete(key))
    this.asking.set(key, asking)
    return asking
  }

  private async read(id: string, after: string | undefined) {
    const until = this.ports.now() + GOOD
    const found = await this.ports.page(id, after)
    const known = this.of(id)
    for (const { message, index, url, thumbnail } of found) if (url) known.set(`${message} ${index}`, { url, thumbnail, until })
  }
}
