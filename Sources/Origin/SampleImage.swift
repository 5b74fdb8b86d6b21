internal import Base

/// A small PNG, made here so that the sample site needs no file.
enum SampleImage {
  /// A sunset of colour over water, as 8-bit RGB without compression (PNG, third edition).
  static func png(width: Int, height: Int) -> [UInt8] {
    var header = ByteBuffer(capacity: 64)
    append(UInt32(width), to: &header)
    append(UInt32(height), to: &header)
    // 8 bits, RGB, deflate, no filter type but per row, not interlaced.
    header.append([8, 2, 0, 0, 0])
    var image = ByteBuffer(capacity: (3 * width + 1) * height + 1024)
    image.append([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    appendChunk("IHDR", header.readable.array, to: &image)
    appendChunk("IDAT", stored(rows(width, height)), to: &image)
    appendChunk("IEND", [], to: &image)
    return image.readable.array
  }

  private static func rows(_ width: Int, _ height: Int) -> [UInt8] {
    var rows: [UInt8] = []
    rows.reserveCapacity((3 * width + 1) * height)
    let horizon = height * 3 / 5
    for y in 0..<height {
      rows.append(0)
      for x in 0..<width {
        let sky = y < horizon ? y * 255 / horizon : 255 - (y - horizon) * 255 / (height - horizon)
        let dx = x - width / 2
        let dy = y - horizon
        let radius = height / 4
        let isSun = y < horizon && dx * dx + dy * dy < radius * radius
        let ripple = y >= horizon && (y - horizon) % 6 < 3 ? 18 : 0
        rows.append(UInt8(clamping: isSun ? 255 : 40 + sky * 4 / 5 - ripple))
        rows.append(UInt8(clamping: isSun ? 214 : 60 + sky / 3 - ripple))
        rows.append(UInt8(clamping: isSun ? 120 : 130 + x * 40 / width - sky / 4 + ripple))
      }
    }
    return rows
  }

  /// A zlib stream of stored blocks (RFC 1950; RFC 1951, 3.2.4).
  private static func stored(_ bytes: [UInt8]) -> [UInt8] {
    var output: [UInt8] = [0x78, 0x01]
    var start = 0
    repeat {
      let count = min(65_535, bytes.count - start)
      output.append(start + count == bytes.count ? 1 : 0)
      output += [UInt8(count & 0xff), UInt8(count >> 8)]
      output += [UInt8(~count & 0xff), UInt8(~count >> 8 & 0xff)]
      output += bytes[start..<start + count]
      start += count
    } while start < bytes.count
    var a: UInt32 = 1
    var b: UInt32 = 0
    for byte in bytes {
      a = (a + UInt32(byte)) % 65_521
      b = (b + a) % 65_521
    }
    for shift in [24, 16, 8, 0] { output.append(UInt8((b << 16 | a) >> UInt32(shift) & 0xff)) }
    return output
  }

  private static func appendChunk(
    _ type: StaticString, _ data: [UInt8], to image: inout ByteBuffer
  ) {
    append(UInt32(data.count), to: &image)
    var content = ByteBuffer(capacity: data.count + 64)
    content.append(type)
    content.append(data)
    image.append(content.readable)
    append(crc(content.readable.array), to: &image)
  }

  /// CRC-32 as PNG has it (annex D), bit by bit.
  private static func crc(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = 0xffff_ffff
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }

  private static func append(_ number: UInt32, to output: inout ByteBuffer) {
    for shift in [24, 16, 8, 0] {
      output.append(UInt8(truncatingIfNeeded: number >> UInt32(shift)))
    }
  }
}
