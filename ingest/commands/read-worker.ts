import { parentPort } from 'node:worker_threads'
import { readSource } from './read-source.ts'
import type { ReadReply, ReadRequest } from './source-reader.ts'

const port = parentPort
if (port === null) throw new Error('this file runs in a thread')

port.on('message', ({ id, file }: ReadRequest) => {
  const answer = (reply: ReadReply): void => port.postMessage(reply)
  readSource(file).then(
    (read) => answer({ id, read }),
    (error: unknown) => answer({ id, unexpected: error instanceof Error ? error : new Error(String(error)) }),
  )
})
