import { takeFields } from '../options.js';
import type { MemoryMonitor } from './monitor.js';

/** The monitors that can be asked for by name. */
export const MONITOR_KINDS = ['ummunotify', 'userfaultfd', 'malloc-hooks', 'none'] as const;
export type MonitorKind = (typeof MONITOR_KINDS)[number];

/** A monitor by name; 'auto' leaves it to the operator, and then to what the machine has. */
export const MONITOR_NAMES = ['auto', ...MONITOR_KINDS] as const;
export type MonitorName = (typeof MONITOR_NAMES)[number];

/** A monitor that would have been better. */
export interface PassedOver {
  readonly kind: MonitorKind;
  /** That of the error with which it cannot be had: one of `ERROR_CODES`, or the system's own name. */
  readonly code: string;
  readonly reason: string;
  /** How to get it. */
  readonly advice: string;
}

/** Which monitor was taken, and how that came about. */
export interface MonitorChoice {
  /** The one in use, as its own `kind`. */
  readonly kind: string;
  /** What was asked for; 'given' when the program brought a monitor of its own. */
  readonly wanted: MonitorName | 'given';
  /** Who asked: the program's options, the operator's environment, or nobody. */
  readonly by: 'program' | 'environment' | 'default';
  /** Better ones, best first, and why they were not taken. */
  readonly passedOver: readonly PassedOver[];
}

/** The choice that a program made which brought a monitor of its own. */
export function given(monitor: MemoryMonitor): MonitorChoice {
  const { kind } = takeFields(monitor, ['kind']);
  return { kind, wanted: 'given', by: 'program', passedOver: [] };
}
