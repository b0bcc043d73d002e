/** Asks again and again while somebody looks: at once when the page is seen again, never while it is hidden. */
import { onBeforeUnmount, onMounted } from 'vue'

export function usePoll(ask: () => Promise<void>, ms: number) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let asking = false
  let gone = false
  async function turn() {
    clearTimeout(timer)
    if (gone || asking || document.hidden) return
    asking = true
    await ask()
    asking = false
    clearTimeout(timer)
    if (!gone && !document.hidden) timer = setTimeout(() => void turn(), ms)
  }
  const seen = () => void turn()
  onMounted(() => {
    document.addEventListener('visibilitychange', seen)
    addEventListener('online', seen)
    void turn()
  })
  onBeforeUnmount(() => {
    gone = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', seen)
    removeEventListener('online', seen)
  })
  return turn
}
