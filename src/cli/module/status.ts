import { readVariable } from '../../environment.js';
import { DEVICE_PATH } from '../../monitor/ummunotify-abi.js';
import { modeOf } from '../mode.js';
import { columns } from '../terminal.js';
import { type ModuleState, moduleState } from './state.js';

/** The device, as this user finds it. */
export interface DeviceState {
  readonly path: string;
  readonly mode: string | null;
  readonly usable: boolean;
  readonly error: string | null;
}

/** What `module status --json` prints. */
export interface ModuleStatus extends ModuleState {
  readonly schema: 1;
  /** The module can be used and is of this package's version. */
  readonly ok: boolean;
  readonly matches: boolean;
  readonly device: DeviceState;
}

export async function moduleStatus(): Promise<ModuleStatus> {
  const [state, device] = await Promise.all([moduleState(), deviceState()]);
  const matches = state.loaded?.version === state.sources.version;
  return { schema: 1, ok: device.usable && matches, matches, ...state, device };
}

/** Open the device as a cache would. */
export async function deviceState(): Promise<DeviceState> {
  let path: string = DEVICE_PATH;
  try {
    path = readVariable('device') ?? path;
    // Loaded here: what it needs may be missing, and that is an answer too.
    const { UmmunotifyMonitor } = await import('../../monitor/ummunotify.js');
    new UmmunotifyMonitor({ path }).close();
    return { path, mode: modeOf(path) ?? null, usable: true, error: null };
  } catch (error) {
    return { path, mode: modeOf(path) ?? null, usable: false, error: (error as Error).message };
  }
}

/** The same for people. */
export function renderStatus({ kernel, loaded, installed, sources, matches, device }: ModuleStatus): string {
  const rows = [
    ['kernel', kernel],
    ['loaded', loaded === null ? 'no' : `${loaded.version ?? '?'} (${loaded.srcversion ?? '?'})`],
    [
      'installed',
      installed === null
        ? 'no'
        : `${installed.version ?? '?'} (${installed.srcversion ?? '?'}) ${installed.path}`,
    ],
    ['package', `${sources.version}${loaded === null ? '' : matches ? ', the same' : ', another one'}`],
    ['device', device.usable ? `${device.path} ${device.mode ?? ''}, this user can open it` : device.error!],
    ...Object.entries(loaded?.parameters ?? {}).map(([name, value]) => [name, String(value)]),
  ];
  return columns(rows, '');
}
