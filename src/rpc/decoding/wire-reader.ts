/** Protobuf's wire types, as far as this API has them. */
export const wire = { varint: 0, bits64: 1, length: 2, bits32: 5 } as const;

/** Thrown if bytes are no protobuf message. */
export class WireError extends Error {}

/** Reads the wire format of one message, which is `bytes` from `at` to `end`. */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** The number of a field, shifted, and its wire type. */
  tag(): number {
    const tag = this.varint();
    if (tag < 8) throw new WireError("a field has the number 0");
    return tag;
  }

  /** A number of up to 32 bits: a length or a bool. */
  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      if (this.at >= this.end || shift > 63) throw new WireError("a number does not end");
      const byte = this.bytes[this.at++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }

  /** Steps over a length, and gives the end of what has it. */
  endOfPart(): number {
    const length = this.varint();
    if (length > this.end - this.at) throw new WireError("a field is longer than its message");
    return this.at + length;
  }

  /** Steps over a field of a message that has the fields 1 to `known`. */
  skipUnknown(tag: number, known: number): void {
    // protobuf-es would read the bytes as the known field, whatever their wire type is.
    if (tag >>> 3 <= known) throw new WireError("a field has another wire type");
    this.skip(tag & 7);
  }

  skip(wireType: number): void {
    if (wireType === wire.varint) this.varint();
    else if (wireType === wire.length) this.at = this.endOfPart();
    else if (wireType === wire.bits64) this.at += 8;
    else if (wireType === wire.bits32) this.at += 4;
    else throw new WireError("a wire type that proto3 does not have");
    if (this.at > this.end) throw new WireError("a field is longer than its message");
  }
}
