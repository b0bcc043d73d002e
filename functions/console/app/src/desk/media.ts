/** How much room a file takes in a thread, from what is known before it is loaded. */
import type { Attachment } from '../api'

/** The longest side of a picture or video, and of a sticker, in pixels. */
const MOST = 280
const STICKER = 160
/** The shortest side: a panorama stays a target that one can hit. */
const LEAST = 48

export const isPicture = (it: Attachment) => it.kind === 'image' || it.kind === 'sticker'
export const isSound = (it: Attachment) => it.kind === 'audio' || it.kind === 'voice'
export const isVideo = (it: Attachment) => it.kind === 'video'

/** The room of a picture or video: its own size where that is small, else its shape. Undefined: nobody knows its size. */
export function room({ kind, width, height }: Attachment): { width: string; aspectRatio: string } | undefined {
  if (!width || !height) return undefined
  const most = kind === 'sticker' ? STICKER : MOST
  const scale = Math.min(1, most / width, most / height)
  const [wide, high] = [width, height].map((side) => Math.max(LEAST, Math.round(side * scale)))
  return { width: `${wide}px`, aspectRatio: `${wide} / ${high}` }
}
