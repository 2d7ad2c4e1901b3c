// The steps of the trials' workflow `parts`, in the example's worker: the first attempt to pack stays until it is killed.

import { appendFileSync } from 'node:fs'
import { Later, connect, work } from './worker.mjs'

const sign = (folder, name, attempt) => appendFileSync(`${folder}/${name}.visits`, `${attempt} ${process.pid}\n`)

const steps = {
  'parts/order': async ({ input }, step) => {
    if (step.attempt === 1) throw new Later(1, 'no paper')
    await step.log('ordering')
    sign(input.folder, 'order', step.attempt)
    return { quantity: 3 }
  },
  'parts/pack': async ({ input, outputs }, step) => {
    const box = await step.checkpoint('box', () => `box of attempt ${step.attempt}`)
    sign(input.folder, 'pack', step.attempt)
    if (step.attempt === 1) await new Promise(() => {})
    if (step.attempt === 2) throw Object.assign(new Error('no tape'), { code: 'ENOTAPE' })
    return [outputs.order.quantity, box]
  },
}

const ending = new AbortController()
process.on('SIGTERM', () => ending.abort())
const post = connect(process.env.CASCADE_API_URL)
await work({ post, pool: 'node', steps, signal: ending.signal, tell: (event) => console.log(JSON.stringify(event)) })
