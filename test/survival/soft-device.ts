import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { listDevices } from '../../src/verbs/device.js';

/** The one device of this machine, a Soft-RoCE, which can be removed and made anew. */
export class SoftDevice {
  readonly name: string;
  /** Of the network, under the device. */
  readonly #link: string;

  private constructor(name: string) {
    this.name = name;
    this.#link = readFileSync(`/sys/class/infiniband/${name}/parent`, 'latin1').trim();
  }

  /** Undefined where there are others. */
  static find(): SoftDevice | undefined {
    const [first, ...others] = listDevices();
    return others.length === 0 && /^rxe\d+$/.test(first.name) ? new SoftDevice(first.name) : undefined;
  }

  get exists(): boolean {
    return existsSync(`/sys/class/infiniband/${this.name}`);
  }

  /** Starts to remove the device; it is gone for everybody else at once, and ends with its last user. */
  async remove(): Promise<Promise<unknown[]>[]> {
    const ended = once(spawn('rdma', ['link', 'delete', this.name], { stdio: 'inherit' }), 'exit');
    // Its name stays in sysfs as long as somebody has it open.
    for (let tries = 0; tries < 1200 && listDevices().length > 0; tries++) await delay(50);
    assert.deepEqual(listDevices(), []);
    // In an array: a promise that is returned would be waited for.
    return [ended];
  }

  add(): void {
    const made = spawnSync('rdma', ['link', 'add', this.name, 'type', 'rxe', 'netdev', this.#link], {
      encoding: 'utf8',
    });
    assert.deepEqual([made.status, made.stderr], [0, '']);
  }
}
