/** Saves what a link of the API leads to. The store says that it is an attachment, so the page stays. It has a name, unless one is given. */
export function download(url: string, name = '') {
  const link = document.createElement('a')
  link.href = url
  link.rel = 'noopener noreferrer'
  link.download = name
  link.click()
}
