export { Access } from './access.js';
export { ERROR_CODES, RegcacheError, type ErrorCode, type ErrorDetails } from './errors.js';

export { createCache, type CreateCacheOptions } from './create-cache.js';
export { RegistrationCache } from './cache/cache.js';
export type { WaitOptions } from './cache/aborted.js';
export type { CacheEvents, RegistrationInfo, RetireReason } from './cache/events.js';
export type { CacheLimits, CacheOptions, ChangeableLimits } from './cache/options.js';
export type { PageWitness } from './memory/page-witness.js';
export type { Registrar } from './cache/registrar.js';
export type { Registration } from './cache/registration.js';
export type { SizeClass, Statistics } from './cache/statistics.js';
export type { Target } from './cache/target.js';

export { publishStatistics, type Published, type PublishOptions } from './publish/publish.js';

export { allocatePageAligned, type AllocateOptions } from './memory/allocate.js';
export { addressOf, type Memory, type WebAssemblyMemory } from './memory/locate.js';

export type { MonitorChoice, MonitorKind, MonitorName, PassedOver } from './monitor/choice.js';
export type { HelperOptions } from './monitor/helper.js';
export type { DrainSink, MemoryMonitor } from './monitor/monitor.js';
export { LIMITS as MALLOC_HOOKS_LIMITS, MallocHooksMonitor } from './monitor/malloc-hooks.js';
export { NoMonitor } from './monitor/none.js';
export { UmmunotifyMonitor, type UmmunotifyOptions } from './monitor/ummunotify.js';
export { LIMITS as USERFAULTFD_LIMITS, UserfaultfdMonitor } from './monitor/userfaultfd.js';

export { CompletionQueue, type CompletionQueueOptions } from './verbs/completion-queue.js';
export {
  Context,
  type DeviceAttributes,
  type ForkStatus,
  type LinkLayer,
  type PortAttributes,
  type PortState,
} from './verbs/context.js';
export { listDevices, openDevice, type Device, type NodeType, type Transport } from './verbs/device.js';
export type { GidEntry, GidType } from './verbs/gid.js';
export { MemoryRegion } from './verbs/memory-region.js';
export { ProtectionDomain } from './verbs/protection-domain.js';
export {
  QueuePair,
  type ConnectOptions,
  type InitOptions,
  type QueuePairOptions,
  type QueuePairState,
} from './verbs/queue-pair.js';
export type { QueuePairEndpoint } from './verbs/queue-pair-endpoint.js';
export { IbverbsRegistrar } from './verbs/registrar.js';
export {
  completionError,
  type CompletionOpcode,
  type CompletionStatus,
  type WorkCompletion,
} from './verbs/work-completion.js';
export { ReceiveRequests, SendFlag, SendRequests } from './verbs/work-request.js';

export type { Batch } from './endpoint/batch.js';
export { connect } from './endpoint/connect.js';
export { type Abortable, Endpoint, type EndpointEvents } from './endpoint/endpoint.js';
export type { ExposedMemory } from './endpoint/exposed-memory.js';
export { listen, Listener, type ListenerEvents } from './endpoint/listener.js';
export type { Message, Received } from './endpoint/message.js';
export type { ConnectToOptions, EndpointOptions, ListenOptions } from './endpoint/options.js';
export type { RemoteMemory } from './endpoint/remote-memory.js';
export type { RemoteOptions, SendOptions, WriteOptions } from './endpoint/tasks.js';
