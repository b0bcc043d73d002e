/** What somebody has not seen: news of own conversations, and of accounts. The menu and the page show the same. */
import { computed, onBeforeUnmount, ref, shallowRef, watch } from 'vue'
import { useRouter } from 'vue-router'
import { alertNamed } from './alerts'
import * as api from './api'
import { caller, useDesk } from './desk/desk'
import { ESCALATED } from './desk/words'
import { t } from './i18n'
import { said } from './problems'

/** Several events of one moment are one look. */
const SOON = 300

export function useNews(limit: number) {
  const desk = useDesk()
  const router = useRouter()
  const list = shallowRef<api.Notifications>()
  const more = shallowRef<api.Notified[]>([])
  const next = ref<string>()
  const problem = ref('')
  const items = computed(() => [...(list.value?.items ?? []), ...more.value])
  const unread = computed(() => list.value?.unread ?? 0)

  async function load() {
    problem.value = ''
    try {
      list.value = await api.notifications(caller, { query: { limit } })
      more.value = []
      next.value = list.value.next ?? undefined
    } catch (error) {
      problem.value = said(error)
    }
  }
  async function loadMore() {
    try {
      const page = await api.notifications(caller, { query: { after: next.value, limit } })
      more.value = [...more.value, ...page.items]
      next.value = page.next ?? undefined
    } catch (error) {
      desk.sayProblem(error)
    }
  }
  // An event tells of another one; a thread that is opened has read its own.
  let timer: ReturnType<typeof setTimeout> | undefined
  watch([() => desk.news.value, () => desk.open.value], () => {
    clearTimeout(timer)
    timer = setTimeout(() => void load(), SOON)
  }, { immediate: true })
  onBeforeUnmount(() => clearTimeout(timer))

  const who = (it: api.Notified) => it.customer_name || it.customer_phone || t('customer')
  function words(it: api.Notified): string {
    switch (it.kind) {
      case 'new_messages': return t('newsMessages', { name: who(it), count: it.new_messages ?? 1 })
      case 'transfer_returned': return t('newsReturned', { name: who(it) })
      case 'escalation': return [t('newsEscalation', { name: who(it) }), it.escalated && t(ESCALATED[it.escalated] ?? 'escalatedFailed')].filter(Boolean).join(': ')
      case 'trigger_disabled': return t(it.trigger?.why === 'gone' ? 'newsTriggerGone' : 'newsTriggerFailing', { name: it.trigger?.name ?? '' })
      default: return [t('newsAlert'), it.alert && alertNamed(it.alert.name, it.alert.event)].filter(Boolean).join(' ')
    }
  }
  async function go(it: api.Notified) {
    if (!it.read) void api.readNotification(caller, { path: { id: it.id } }).then(load, desk.sayProblem)
    if (it.trigger) return void router.push(desk.me.role === 'supervisor' ? '/supervise' : `/configure/triggers/${it.trigger.id}`)
    if (!it.interaction) return void router.push(`/configure/accounts/${it.account}`)
    await router.push(desk.me.whatsapp ? `/desk/${it.interaction}` : `/supervise/interactions/${it.interaction}`)
    if (desk.me.whatsapp) await desk.openTab(it.interaction)
  }
  async function readAll() {
    try {
      // Not those that came since the list was read.
      await api.readNotifications(caller, { body: { until: list.value?.as_of } })
      await load()
      desk.news.value += 1
    } catch (error) {
      desk.sayProblem(error)
    }
  }
  return { list, items, unread, next, problem, load, loadMore, words, go, readAll }
}
