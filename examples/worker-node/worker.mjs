// A worker of cascade-flow: claims due steps of a pool over HTTP, runs your functions, and says what came of them.
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { AwsClient } from 'aws4fetch'

export class Skip extends Error {} // thrown where there is nothing to do: the steps that depend on this one give way
export class Later extends Error { // thrown where it isn't ready: it comes again then; without seconds, as it is declared
  constructor(seconds, reason = 'not ready') {
    super(reason)
    this.delayUs = seconds === undefined ? undefined : Math.ceil(seconds * 1e6)
  }
}
export class Lost extends Error {} // the attempt is another worker's: whatever is said of it is refused

/** Work until `signal` aborts: then what runs is finished, and nothing more is claimed. `steps` are yours, by name. */
export async function work({ concurrency = 1, ...wishes }) {
  const workerIds = Array.from({ length: concurrency }, (_, index) => `${hostname()}-${process.pid}-${index}`)
  await Promise.all(workerIds.map((workerId) => claimAll({ tell: console.log, ...wishes, workerId })))
}

/** Posts a document to the API at this address; answers what it answers, or throws what it refuses. */
export function connect(url, env = process.env) {
  const keys = { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY }
  const place = { sessionToken: env.AWS_SESSION_TOKEN, region: env.AWS_REGION, service: 'execute-api' }
  const aws = new AwsClient({ ...keys, ...place, retries: 0 })
  const headers = { 'content-type': 'application/json' }
  return async (path, document) => {
    const response = await aws.fetch(url + path, { method: 'POST', headers, body: JSON.stringify(document) })
    if (!response.ok) throw refusal(response.status, await response.text())
    return response.status === 204 ? null : response.json()
  }
}

async function claimAll({ post, pool, steps, signal, tell, workerId }) {
  for (let claim = null; claim || !signal?.aborted; ) {
    try {
      claim ??= await patiently(() => post('/steps/claim', { workerId, pool, waitMs: 10_000 }), () => !signal?.aborted)
      claim &&= await attempt({ post, claim, steps, signal, tell, workerId })
    } catch (error) {
      tell({ event: 'lost', stepId: claim?.stepId, reason: error.message })
      if (!claim && !passes(error)) throw error // nothing that waiting mends, such as a missing right
      claim = null
    }
  }
}

/** One attempt, with heartbeats until it is over; answers the claim of the branch's next step, if there is one. */
async function attempt({ post, claim, steps, signal, tell, workerId }) {
  const held = new Held(post, claim, workerId)
  const { runId, workflowSlug, stepId, attemptNumber } = claim
  try {
    const { status, next = null } = await outcome(held, steps[`${workflowSlug}/${stepId}`], () => !signal?.aborted)
    tell({ event: 'ended', runId, stepId, attemptNumber, status })
    return next
  } finally {
    held.letGo()
  }
}

async function outcome(held, step, goesOn) {
  const fail = ({ name, message = '', stack, code, retryable = true }, more) =>
    held.end('fail', { error: { name, message, stack, code }, retryable, ...more })
  if (!step) return fail({ message: 'this worker has no such step', retryable: false }, { reason: 'step-removed' })
  try {
    const output = await Promise.race([held.given().then((given) => step(given, held)), held.over])
    return await held.end('complete', { output: output ?? null, claimNext: goesOn() })
  } catch (error) {
    if (error instanceof Lost) throw error
    if (error instanceof Skip) return held.end('skip', { reason: error.message })
    if (error instanceof Later) return held.end('later', { reason: error.message, delayUs: error.delayUs })
    return fail(error, error === held.late ? { reason: 'timeout' } : {})
  }
}

/** The attempt in this worker's hands, which your function gets as its second argument. */
class Held {
  #counts = new Map()

  constructor(post, claim, workerId) {
    Object.assign(this, { claim, attempt: claim.attemptNumber, idempotencyKey: claim.idempotencyKey })
    const place = `/runs/${claim.runId}/steps/${claim.stepId.split('/').map(encodeURIComponent).join('/')}`
    this.post = (what, told) => post(`${place}/${what}`, { workerId, attemptNumber: this.attempt, ...told })
    this.end = (what, told) => this.say(what, { ...told, lastLogUs: this.told })
    this.until = Date.now() + claim.leaseUs / 1000
    this.told = claim.startedAtUs
    this.late = Object.assign(new Error(`took longer than ${claim.timeoutUs / 1e6} s`), { name: 'TimeoutError' })
    this.over = new Promise((_, reject) => (this.stop = reject))
    this.over.catch(() => {}) // the race that looks at it may have ended before
    const timer = claim.timeoutUs && setTimeout(() => this.stop(this.late), claim.timeoutUs / 1000)
    const beat = setInterval(() => this.#live(), claim.leaseUs / 3000)
    this.letGo = () => [clearTimeout(timer), clearInterval(beat)]
  }

  /** A line of the step's log. */
  log(message, stream = 'stdout') {
    this.told = Math.max(Date.now() * 1000, this.told + 1)
    return this.say('logs', { lines: [{ message: String(message), stream, timestampUs: this.told }] })
  }

  /** What `make` gives, stored: a later attempt gets it back, and doesn't make it again. */
  async checkpoint(name, make) {
    const sequence = this.#counts.get(name) ?? 0
    this.#counts.set(name, sequence + 1)
    const known = this.claim.checkpoints.find((each) => isOf(each, name, sequence))
    if (known) return known.dataUrl ? read(known.dataUrl) : known.data
    const data = (await make()) ?? null
    await this.say('checkpoint', { name, sequence, data })
    return data
  }

  /** The run's input, and by step the outputs of the dependencies; large ones lie in S3. */
  async given() {
    const { input, inputUrl, outputs, outputUrls = {}, leftOut, checkpointsUrl } = this.claim
    if (leftOut) throw Object.assign(new Error(`too large for a claim: ${leftOut}`), { retryable: false })
    if (checkpointsUrl) this.claim.checkpoints = await read(checkpointsUrl)
    const large = await Promise.all(Object.entries(outputUrls).map(async ([step, url]) => [step, await read(url)]))
    return { input: inputUrl ? await read(inputUrl) : input, outputs: { ...outputs, ...Object.fromEntries(large) } }
  }

  /** Say it until it is heard, for as long as the lease lasts: said twice, it is answered the same. */
  say(what, told) {
    return patiently(() => this.post(what, told), () => Date.now() < this.until)
  }

  async #live() {
    const asked = Date.now()
    try {
      await this.post('heartbeat', {})
      this.until = asked + this.claim.leaseUs / 1000
    } catch (error) {
      if (error instanceof Lost || Date.now() > this.until) this.stop(new Lost(error.message))
    }
  }
}

const isOf = (known, name, sequence) =>
  known.name === name && known.sequence === sequence && ('data' in known || known.dataUrl)
const read = async (url) => (await fetch(url)).json()

async function patiently(ask, mayGoOn) {
  for (let longest = 200; ; longest = Math.min(2 * longest, 10_000)) {
    try {
      return await ask()
    } catch (error) {
      if (!passes(error) || !mayGoOn()) throw error
    }
    await pause(longest * (0.5 + Math.random() / 2))
  }
}

/** Whether another try may help: nobody answered, somebody was busy. */
const passes = ({ name, cause, status, code }) =>
  (name === 'TypeError' && cause) || status === 429 || status >= 500 || code === 'conflict'

function refusal(status, text) {
  const { code, detail = `${status}: ${text.slice(0, 200)}` } = text.startsWith('{') ? JSON.parse(text) : {}
  return Object.assign(code === 'stale-attempt' ? new Lost(detail) : new Error(detail), { status, code })
}
