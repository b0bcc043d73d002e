/** The desk: the store, bound to the screen, and what an agent does with it. */
import { clear, del, entries, get, set, update } from 'idb-keyval'
import { computed, reactive, ref, shallowReactive, shallowRef, watch } from 'vue'
import * as api from '../api'
import * as assist from '../api/assist'
import { Problem, type Caller } from '../api/client'
import { repeated, snapshotOf } from '../core/commands'
import { Drafts, isLive, merged, type Draft, type Kept } from '../core/drafts'
import { Feed } from '../core/feed'
import { Links } from '../core/links'
import { Outbox, type Row } from '../core/outbox'
import { Store, type Offer } from '../core/store'
import { LONG_PAGE, Threads } from '../core/threads'
import { unseenAfter } from '../core/unseen'
import { Ring } from '../core/ring'
import { Session } from '../core/session'
import { Soon } from '../core/soon'
import { t } from '../i18n'
import { said } from '../problems'
import type { Acts } from './keys'
import { preferences } from '../ui/preferences'
import { Notices, askForNotices, systemScreen } from './notices'
import { makeTranslations } from './translations'

const base = document.baseURI

/** The session of this page. */
export const ended = ref(false)
const session = new Session({
  post: (path) => fetch(new URL(path, base), { method: 'POST', headers: { 'X-Console': '1' }, signal: AbortSignal.timeout(25_000) }),
  exclusively: async (run) => await navigator.locks.request('console-renewal', run),
  now: Date.now,
  ended: () => (ended.value = true)
})
const callerOf = (api: 'agent' | 'supervisor' | 'assist' | 'admin'): Caller => ({
  base: new URL(`../${api}`, base).href,
  token: () => session.token(),
  refused: () => session.forget(),
  forbidden: () => void desk.value?.renewMe()
})
export const caller = callerOf('agent')
export const supervisorCaller = callerOf('supervisor')
export const assistCaller = callerOf('assist')
export const adminCaller = callerOf('admin')

export function logIn(to: string) {
  location.assign(new URL(`session/login?to=${encodeURIComponent(to)}`, base))
}

/** What a person reads for a moment. */
export interface Toast {
  id: number
  text: string
  bad: boolean
}

/** What a window had not sent when it was closed. */
interface KeptRow {
  agent: string
  window: string
  row: Row
}

function later(run: () => void, ms: number) {
  const id = setTimeout(run, ms)
  return () => clearTimeout(id)
}
/** Begins the keys of drafts that were written in the last moment of a page. */
const LATE = 'drafts-'
/** By then the slowest of screens is drawn, and nobody has waited for a sound. */
const DRAWN = 300
const shallowMap = <V>() => shallowReactive(new Map<string, V>())
/** A browser has six connections to a host: what an agent asks for does not wait for what nobody looks at. */
const THREADS_AT_ONCE = 2
/** A key is good for a day at the API. After half of it a second sending might be a second message. */
const ROWS_LIVE = 86_400_000 / 2

export type Past = api.Interaction

/** All state of the desk; made once the agent is known. */
export function makeDesk(given: api.Me) {
  const me = shallowReactive(given)
  const store = new Store(me.id, shallowMap, (message) => outbox.confirm(message))
  const now = ref(Date.now())
  /** The same by the minute: what shows no seconds is drawn no more often. */
  const minute = computed(() => now.value - (now.value % 60_000))
  const lostSince = ref<number>()
  const toasts = reactive<Toast[]>([])
  const tabs = reactive<string[]>([])
  const waiting = shallowRef<api.Waiting['items']>([])
  /** Whether more wait than are listed. */
  const moreWaiting = ref(false)
  // One that rings stands among the offers, and may be taken before the next look.
  watch(() => store.offers.size, () => (waiting.value = waiting.value.filter((it) => !store.offers.has(it.id))))
  /** How many wait in the agent's own queues, and since when. */
  const queues = shallowRef<Awaited<ReturnType<typeof api.ofQueues>>['queues']>([])
  const names = shallowReactive(new Map<string, string>())
  const colleagues = shallowReactive(new Map<string, api.Colleagues>())
  /** Those whose thread is watched: their messages are nothing that this agent has to answer. */
  const watched = shallowReactive(new Set<string>())
  /** Customers' messages that nobody has looked at, by interaction. */
  const unseen = shallowReactive(new Map<string, number>())
  /** Where the messages begin that nobody had looked at when a thread was opened, by interaction. */
  const newFrom = shallowReactive(new Map<string, string>())
  const threads = new Threads(store, (id, after, limit) => api.messages(caller, { path: { id }, query: { newest: true, after, limit } }), shallowMap)
  const { loaded, older } = threads
  const links = new Links({
    // The newest page may have grown since it was read.
    page: async (id, after) => (await api.attachments(caller, { path: { id }, query: { newest: true, after, limit: LONG_PAGE } })).items,
    one: (id, message, index) => api.attachment(caller, { path: { id, message, index } }),
    place: (id, message) => threads.place(id, message),
    now: Date.now
  })
  const open = ref<string>()
  const announced = ref('')
  /** Counts what is told of notifications. */
  const news = ref(0)
  /** What may be done with the conversation on the screen. */
  const acts = shallowRef<Acts>()
  /** The words with which a customer is being looked for; undefined: none is. */
  const finding = ref<string>()
  /** When this agent wrote last in a conversation, here or on another screen. */
  const answeredAt = new Map<string, number>()
  /** Where somebody read on in a thread: the first row that was seen, and how much of it was above the screen. */
  const places = new Map<string, { row: string; above: number }>()
  const ring = new Ring(() => preferences)
  const notices = new Notices(systemScreen(() => preferences.desktop, () => goTo(open.value)))
  // Browsers allow sound after any gesture; some only within it, and those are asked again in the next one. Opening the
  // sound takes as long as opening a conversation: what the first gesture does is drawn before.
  const unlock = () => {
    if (!ring.locked) return
    if (ring.opened) ring.unlock()
    else setTimeout(() => ring.unlock(), DRAWN)
  }
  for (const gesture of ['pointerdown', 'keydown']) addEventListener(gesture, unlock)
  setInterval(() => (now.value = Date.now()), 1000)

  let toastId = 0
  function say(text: string, bad = false) {
    const toast = { id: (toastId += 1), text, bad }
    toasts.push(toast)
    setTimeout(() => dismiss(toast.id), bad ? 12_000 : 6_000)
  }
  function dismiss(id: number) {
    const at = toasts.findIndex((toast) => toast.id === id)
    if (at >= 0) toasts.splice(at, 1)
  }
  function sayProblem(error: unknown) {
    if (error instanceof Problem && error.status === 401) return
    say(said(error), true)
  }

  // ---- The feed.
  let readBefore = false
  const snapshot = () => snapshotOf(() => api.mine(caller), () => api.presence(caller))

  const feed = new Feed({
    snapshot,
    read: (after) => api.events(caller, { query: { after, limit: 500 } }),
    async connect(listener) {
      const { url } = await api.ticket(caller)
      const socket = new WebSocket(url)
      socket.onopen = () => listener.open()
      socket.onmessage = (message) => listener.frame(String(message.data))
      socket.onclose = () => listener.closed()
      return { send: (text) => socket.readyState === WebSocket.OPEN && socket.send(text), close: () => socket.close() }
    },
    replace(snapshot) {
      const before = new Map(store.interactions)
      store.replace(snapshot)
      news.value += 1
      // An event that tells of it may be among those that were skipped. What was read when the page was loaded is new.
      if (readBefore) renewal.call()
      readBefore = true
      for (const it of store.mine()) {
        count(it.id, before.get(it.id))
        if (it.tab_open) showTab(it.id)
      }
      // The list is drawn first.
      setTimeout(() => {
        for (const it of store.mine()) learnNames(it.account)
        // Those that are here, since their events may have been missed; others are read when somebody opens them.
        loadThreads(store.mine().map((it) => it.id).filter((id) => loaded.has(id)))
      })
      // What is on the screen and not in the snapshot may have changed while nobody told us.
      const listed = new Set(snapshot.interactions.map((it) => it.id))
      for (const id of new Set([...tabs, ...(open.value ? [open.value] : [])])) {
        if (listed.has(id)) continue
        void refresh(id)
        if (loaded.has(id)) void loadThread(id, true)
      }
      soundOffers()
    },
    apply(entry, live) {
      const before = entry.event.type === 'interaction' ? store.interactions.get(entry.event.interaction.id) : undefined
      const effect = store.apply(entry)
      if (entry.event.type === 'notification') news.value += 1
      if (entry.event.type === 'configuration') renewal.call()
      if (entry.event.type === 'deleted' || entry.event.type === 'withheld') for (const row of outbox.of(entry.event.interaction)) outbox.discard(row.key)
      if (entry.event.type === 'interaction') {
        learnNames(entry.event.interaction.account)
        count(entry.event.interaction.id, before)
        release(entry.event.interaction.id)
        if (entry.event.interaction.merged_into) follow(entry.event.interaction.id, entry.event.interaction.merged_into)
      }
      if (effect?.type === 'offered') untold = effect.offer
      if (effect?.type === 'taken') say(t('takenBy', { name: names.get(effect.by) ?? t('colleague'), customer: effect.interaction ? nameOf(effect.interaction) : '' }))
      if (effect?.type === 'message') {
        slim(effect.message.interaction)
        // Answered on another screen: seen there, too.
        const by = effect.message.author
        if (by.kind === 'agent' && by.agent === me.id) {
          answeredAt.set(effect.message.interaction, Date.parse(effect.message.at))
          seen(effect.message.interaction)
        }
      }
      if (effect?.type === 'message' && effect.message.author.kind === 'customer') {
        const id = effect.message.interaction
        const foreign = watched.has(id) && store.interactions.get(id)?.agent !== me.id
        // Events of different messages may overtake each other.
        const answered = (answeredAt.get(id) ?? 0) > Date.parse(effect.message.at)
        if (!foreign && !answered && (id !== open.value || document.hidden)) {
          unseen.set(id, (unseen.get(id) ?? 0) + 1)
          if (live && store.interactions.get(id)?.agent === me.id) ring.tone()
        }
      }
      soundOffers(live)
    },
    caughtUp: () => soundOffers(),
    state: (since) => (lostSince.value = since),
    timer: later,
    now: Date.now,
    random: Math.random
  })

  /** Those that ring, and the latest one that nobody was told of. */
  let rung: Offer[] = []
  let untold: Offer | undefined
  /** Every offer rings until it ends. While missed events are read, none begins: it may have ended, too. */
  function soundOffers(begins = true) {
    rung = offers.value.filter((offer) => begins || rung.includes(offer))
    ring.ring(rung.some((offer) => offer.notification?.sound !== false))
    notices.update(rung.map(({ interaction, notification }) => ({ id: interaction.id, title: notification?.text ?? t('offerFrom', { name: nameOf(interaction) }) })))
    if (!begins) return
    if (untold && rung.includes(untold)) announced.value = t('offerFrom', { name: nameOf(untold.interaction) })
    untold = undefined
  }

  const offers = computed<Offer[]>((before) => {
    const found = [...store.offers.values()].filter((offer) => !offer.until || Date.parse(offer.until) > now.value - 2000)
    // Asked each second. The list of before is nothing to draw anew.
    return before && before.length === found.length && found.every((offer, at) => offer === before[at]) ? before : found
  })
  const mine = computed(() => store.mine())
  const presence = computed(() => store.presence)
  const unreadTotal = computed(() => [...unseen.values()].reduce((sum, n) => sum + n, 0))

  let renewing: Promise<boolean> | undefined
  /** Reads the own role and accounts again; false: it may work later. */
  const renewMe = () => (renewing ??= readMe().finally(() => (renewing = undefined)))
  async function readMe(): Promise<boolean> {
    try {
      Object.assign(me, await api.me(caller))
      for (const it of me.accounts) if (it.member) learnNames(it.id)
      return true
    } catch (error) {
      // What was refused says so itself.
      return !(error instanceof Problem && error.mayPass)
    }
  }
  /** Something of that has changed. What is being read may be from before. */
  const renewal = new Soon({
    async run() {
      await renewing
      if (!(await renewMe())) renewal.call()
    },
    timer: later,
    random: Math.random
  })

  // ---- Names.
  const account = (id: string) => me.accounts.find((account) => account.id === id)
  function nameOf(it: api.Interaction): string {
    return it.customer_name || it.customer_phone || t('customer')
  }
  /** Accounts whose colleagues are being read: a list asks for each of its rows. */
  const learning = new Set<string>()
  function learnNames(id: string) {
    if (colleagues.has(id) || learning.has(id)) return
    learning.add(id)
    void loadColleagues(id).then(() => learning.delete(id))
  }
  async function loadColleagues(id: string) {
    try {
      const found = await api.colleagues(caller, { path: { id } })
      colleagues.set(id, found)
      for (const { id, name } of [...found.agents, ...found.others, ...found.queues]) names.set(id, name)
    } catch {
      // Names are not worth a message; ids are never shown.
    }
  }

  // ---- Reading.
  async function refresh(id: string): Promise<api.Interaction | undefined> {
    const asked = store.epoch
    try {
      const found = await api.interaction(caller, { path: { id } })
      store.applyInteraction(found, asked)
      if (found.merged_into) follow(id, found.merged_into)
      return found
    } catch (error) {
      if (error instanceof Problem && (error.status === 404 || error.status === 403)) closeTabHere(id)
      return undefined
    }
  }

  const loadThread = (id: string, anew = false) => threads.load(id, anew)
  /** Threads whose events may have been missed. The one on the screen is first. */
  let toLoad: string[] = []
  let loading = 0
  function loadThreads(ids: string[]) {
    const first = (id: string) => Number(id !== open.value)
    toLoad = ids.sort((a, b) => first(a) - first(b))
    while (loading < THREADS_AT_ONCE && toLoad.length > 0) void loadNext()
  }
  async function loadNext() {
    loading += 1
    for (let next; (next = toLoad.shift()); ) await loadThread(next, true)
    loading -= 1
  }

  /** Whether the desk is on the screen, and not another view. */
  let atDesk = false
  const looks = () => atDesk && !document.hidden && presence.value?.state !== 'logged_out'
  function look(on: boolean) {
    atDesk = on
    // The list is drawn first.
    if (on) setTimeout(() => void loadWaiting())
  }
  async function loadWaiting() {
    if (!looks()) return
    try {
      if (me.queues.length === 0) queues.value = []
      else void api.ofQueues(caller).then((found) => looks() && (queues.value = found.queues), () => undefined)
      if (!me.accounts.some((it) => it.member)) return void (waiting.value = [])
      const found = await api.waiting(caller)
      // Who has stopped working meanwhile is not asked again, and it would only get old.
      if (!looks()) return
      // Those that ring here stand among the offers.
      waiting.value = found.items.filter((it) => !store.offers.has(it.id))
      moreWaiting.value = found.more
    } catch {
      // The list that is there stays; the bar tells of a lost connection.
    }
  }

  /** The thread of a conversation that is over here: kept while its tab is there, or somebody looks at it. */
  function release(id: string) {
    const it = store.interactions.get(id)
    const mine = it?.agent === me.id && it.status === 'open'
    if (!mine && !tabs.includes(id) && open.value !== id && !watched.has(id)) {
      threads.forget(id)
      links.forget(id)
    }
  }
  /** A thread that grows is kept whole for those who look at it, or will read on in it. */
  function slim(id: string) {
    if (open.value !== id && !watched.has(id) && !places.has(id)) threads.slim(id)
  }
  const translations = makeTranslations(store, {
    translate: (id, messages) => assist.translations(assistCaller, { path: { id }, body: { messages } }),
    draft: (id, text) => assist.drafts(assistCaller, { path: { id }, body: { text } }),
    refresh: (id) => void refresh(id),
    say: (text) => say(text),
    sayProblem
  }, { busy: shallowReactive(new Set<string>()), problems: shallowMap<string>() })

  // ---- Commands.
  /** Carries out a command on an interaction, with a key, so that a repetition after a lost answer changes nothing. */
  async function command(run: (key: string) => Promise<api.Interaction>): Promise<boolean> {
    let asked = store.epoch
    const once = (key: string) => {
      asked = store.epoch
      return run(key)
    }
    try {
      store.applyInteraction(await repeated(once, () => new Promise((resolve) => setTimeout(resolve, 1000))), asked)
      return true
    } catch (error) {
      const now = error instanceof Problem ? (error.body.interaction as api.Interaction | undefined) : undefined
      if (now) store.applyInteraction(now, asked)
      sayProblem(error)
      return false
    }
  }

  /**
   * A command that is meant for what is on the screen. An agent's own message makes a new version that no event tells
   * of: where the thread is here to its last message, the command is repeated on that version.
   */
  async function commandOnSeen(id: string, run: (key: string, version: number) => Promise<api.Interaction>): Promise<boolean> {
    return await command(async (key) => {
      const version = store.interactions.get(id)?.version ?? 0
      try {
        return await run(key, version)
      } catch (error) {
        const now = error instanceof Problem && error.kind === 'changed' ? (error.body.interaction as api.Interaction | undefined) : undefined
        const last = store.thread(id).at(-1)
        const seen = now && now.agent === me.id && now.status === 'open' && last && Date.parse(last.at) >= Date.parse(now.last_message_at ?? now.opened_at)
        if (!seen) throw error
        return await run(crypto.randomUUID(), now.version)
      }
    })
  }

  async function accept(id: string) {
    ring.unlock()
    const done = await command((key) => api.accept(caller, { path: { id }, key }))
    store.answered(id)
    soundOffers()
    if (done) await show(id)
  }
  async function reject(id: string) {
    await command((key) => api.reject(caller, { path: { id }, key }))
    store.answered(id)
    soundOffers()
  }
  async function pick(id: string) {
    if (await command((key) => api.pick(caller, { path: { id }, key }))) await show(id)
    await loadWaiting()
  }
  function showTab(id: string) {
    if (!tabs.includes(id)) tabs.push(id)
  }
  /** Shows an interaction that this agent has, and tells the others that its tab is open. */
  async function openTab(id: string) {
    await show(id)
    const it = store.interactions.get(id)
    if (it?.agent === me.id && it.status === 'open' && presence.value?.state !== 'logged_out') await command((key) => api.openTab(caller, { path: { id }, key }))
  }
  let goTo: (id: string | undefined) => void = () => {}
  async function show(id: string) {
    if (!store.interactions.has(id)) await refresh(id)
    if (store.interactions.get(id)?.agent === me.id) showTab(id)
    goTo(id)
    const fresh = unseen.get(id) ?? 0
    seen(id)
    await loadThread(id)
    markNew(id, fresh)
  }
  function seen(id: string) {
    markNew(id, unseen.get(id) ?? 0)
    unseen.delete(id)
  }
  /** The line above the customer's latest messages that are new to this agent. */
  function markNew(id: string, count: number) {
    const first = count > 0 ? store.thread(id).filter((it) => it.author.kind === 'customer').at(-count) : undefined
    if (first) newFrom.set(id, first.id)
  }
  /** Counts anew what nobody has looked at in an interaction that has changed. */
  function count(id: string, before: api.Interaction | undefined) {
    const it = store.interactions.get(id)
    if (!it || it.agent !== me.id || (id === open.value && !document.hidden)) return
    const found = unseenAfter(unseen.get(id) ?? 0, before, it)
    if (found > 0) unseen.set(id, found)
    else unseen.delete(id)
  }
  function closeTabHere(id: string) {
    const at = tabs.indexOf(id)
    if (at >= 0) tabs.splice(at, 1)
    release(id)
    if (open.value === id) goTo(tabs[Math.max(0, at - 1)])
  }
  /** A conversation has become a part of another: its place on the screen and its draft go there. */
  function follow(from: string, to: string) {
    drafts.move(from, to)
    outbox.move(from, to)
    // The other one's thread has all messages now.
    if (loaded.has(to)) void loadThread(to, true)
    if (open.value === from) void openTab(to)
    const at = tabs.indexOf(from)
    if (at >= 0) tabs.splice(at, 1)
  }
  async function closeTab(id: string) {
    closeTabHere(id)
    const it = store.interactions.get(id)
    if (it?.agent === me.id && it.tab_open) await command((key) => api.closeTab(caller, { path: { id }, key }))
  }
  async function setPresence(state: api.Presence['state'], reason?: string) {
    ring.unlock()
    askForNotices(preferences.desktop)
    const before = presence.value?.state
    try {
      store.setPresence(await api.setPresence(caller, { body: { state, reason }, key: crypto.randomUUID() }))
    } catch (error) {
      return sayProblem(error)
    }
    // A tab that was opened before this login does not count.
    if (before === 'logged_out' && state !== 'logged_out') for (const id of tabs) void command((key) => api.openTab(caller, { path: { id }, key }))
  }

  // ---- Writing.
  const rows = shallowMap<Row>()
  const outbox = new Outbox(
    {
      async send(row) {
        const sent = { path: { id: row.interaction }, key: row.key }
        return row.kind === 'note' ? api.note(caller, { ...sent, body: { text: row.body.text ?? '', client_id: row.body.client_id } }) : api.send(caller, { ...sent, body: row.body })
      },
      sent: (_, message) => store.applyMessage(message),
      // A browser that keeps nothing: the desk works without.
      keep: (row) => void set(`row:${row.key}`, { agent: me.id, window: here, row } satisfies KeptRow).catch(() => undefined),
      drop: (key) => void del(`row:${key}`).catch(() => undefined),
      timer: later,
      now: Date.now
    },
    rows
  )
  addEventListener('beforeunload', (event) => {
    if (!outbox.isEmpty || uploads > 0) event.preventDefault()
  })

  /** Held for as long as this window lives: its rows are nobody else's. */
  const here = crypto.randomUUID()
  void navigator.locks.request(`console-window-${here}`, () => new Promise(() => undefined))
  const others = new BroadcastChannel('console-drafts')
  const drafts = new Drafts(
    me.id,
    {
      update: (change) => update<Kept>('drafts', change),
      // What else a browser keeps is kept a moment later, and by then the page is gone.
      leave: (kept) => localStorage.setItem(LATE + here, JSON.stringify(kept)),
      tell: (kept) => others.postMessage({ agent: me.id, kept } satisfies Kept),
      timer: later,
      now: Date.now
    },
    (draft) => reactive(draft),
    shallowReactive(new Map<string, Draft>())
  )
  others.onmessage = ({ data }: MessageEvent<Kept | 'left'>) => {
    if (data === 'left') {
      wipe()
      ended.value = true
    } else if (data.agent === me.id) drafts.take(data.kept)
  }
  addEventListener('pagehide', () => drafts.leave())
  addEventListener('visibilitychange', () => document.hidden && drafts.leave())
  /** What windows wrote in their last moment, a key each. */
  const lateKeys = () => Object.keys(localStorage).filter((key) => key.startsWith(LATE))
  /** Where rows of an earlier page wait for their thread. */
  let unsettled: string[] = []
  async function restore() {
    try {
      for (const key of lateKeys()) {
        const late = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Kept>
        if (late.agent === me.id && late.kept) await update<Kept>('drafts', (found) => merged(found, me.id, late.kept!, Date.now()))
        localStorage.removeItem(key)
      }
      const kept = await get<Kept>('drafts')
      if (kept?.agent === me.id) drafts.take(kept.kept.filter(([, draft]) => isLive(draft, Date.now())))
      const windows = new Set((await navigator.locks.query()).held?.map((lock) => lock.name))
      const rows = (await entries<string, KeptRow>()).filter(([key]) => key.startsWith('row:'))
      for (const [key, { row }] of rows) if (row.at < Date.now() - ROWS_LIVE) void del(key)
      const left = rows.map(([, left]) => left).filter(({ agent, window, row }) => agent === me.id && !windows.has(`console-window-${window}`) && row.at >= Date.now() - ROWS_LIVE)
      outbox.restore(left.map(({ row }) => row))
      // A thread may be here already, and says what arrived.
      for (const { row } of left) if (store.has(row.interaction, row.key)) outbox.discard(row.key)
      unsettled = [...new Set([...outbox.rows.values()].map((row) => row.interaction))]
    } catch {
      // A browser that keeps nothing; the desk works without.
    }
  }

  /** Files on their way: leaving would lose them. */
  let uploads = 0
  async function upload(id: string, file: File): Promise<{ id: string } | undefined> {
    uploads += 1
    try {
      const content_type = file.type || 'application/octet-stream'
      const place = await api.upload(caller, { path: { id }, body: { name: file.name, content_type, size: file.size } })
      const put = await fetch(place.url, { method: 'PUT', headers: { 'Content-Type': place.content_type }, body: file })
      if (!put.ok) throw new Problem(put.status, 'upload', t('uploadFailed'))
      return place
    } catch (error) {
      sayProblem(error)
      return undefined
    } finally {
      uploads -= 1
    }
  }

  /** Opens a file, which browsers save. */
  async function openFile(id: string, message: api.Message, { index }: api.Attachment) {
    try {
      window.open((await links.get(id, message, index)).url ?? undefined, '_blank', 'noopener,noreferrer')
    } catch {
      say(t('fileFailed'), true)
    }
  }

  /** Wipes what this browser keeps, and leaves. */
  async function leave() {
    if (presence.value && presence.value.state !== 'logged_out') await setPresence('logged_out')
    others.postMessage('left')
    wipe()
    await clear().catch(() => undefined)
    location.assign(await session.logout())
  }
  /** Nothing of this agent stays here. Where another window has left, the session of this one has ended, too. */
  function wipe() {
    drafts.clear()
    outbox.rows.clear()
    for (const key of lateKeys()) localStorage.removeItem(key)
    feed.stop()
    session.forget()
    store.interactions.clear()
    store.offers.clear()
    soundOffers()
  }

  async function start() {
    await restore()
    await feed.start()
    // The list is drawn first.
    setTimeout(() => { for (const it of me.accounts) if (it.member) learnNames(it.id) })
    // They may be in conversations that nobody opens any more, or that became a part of another.
    for (const id of unsettled) void refresh(id).then(() => loadThread(id))
    // Asked for while somebody looks and is at work, until the feed tells of them.
    setInterval(() => void loadWaiting(), 10_000)
    // Nobody picks while not at work, and what is not asked for would only get old.
    watch(() => presence.value?.state === 'logged_out', (off) => { if (off) waiting.value = queues.value = []; else void loadWaiting() })
    addEventListener('online', () => feed.wake())
    addEventListener('offline', () => feed.lose())
    document.addEventListener('visibilitychange', () => {
      soundOffers()
      if (document.hidden) return
      feed.wake()
      void loadWaiting()
      if (open.value) seen(open.value)
    })
  }

  return {
    me, store, now, minute, lostSince, toasts, dismiss, say, sayProblem, tabs, waiting, moreWaiting, queues, names, colleagues, unseen, newFrom, watched, unreadTotal, loaded, open, announced, news, acts, finding, ring,
    offers, mine, presence, account, nameOf, loadColleagues, refresh, loadThread, release, threads, links, translations, older, command, commandOnSeen, accept, reject, pick, show, openTab, closeTab, closeTabHere,
    setPresence, renewMe, outbox, drafts, upload, openFile, leave, start,
    places, look,
    navigate: (go: (id: string | undefined) => void) => (goTo = go)
  }
}

export type Desk = ReturnType<typeof makeDesk>
export const desk = shallowRef<Desk>()
/** The desk where there is one: below the login. */
export const useDesk = (): Desk => desk.value as Desk
