/** Saves what a link of the API leads to. The store says that it is an attachment, so the page stays. */
export function download(url: string) {
  const link = document.createElement('a')
  link.href = url
  link.rel = 'noopener noreferrer'
  link.download = ''
  link.click()
}
