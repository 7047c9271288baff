package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Header is what a PROXY header says (the PROXY protocol, versions 1 and 2). Source is not valid when the neighbour speaks
// for itself (LOCAL, UNKNOWN, or an address family that is not IP).
type Header struct {
	Source, Destination netip.AddrPort
}

// Bounds of a header. Version 1 has its own; version 2 may carry extensions, which are skipped.
const (
	maxProxyV1 = 107
	maxProxyV2 = 16 + 2048
)

const (
	signatureV1 = "PROXY "
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

var errNoProxy = errors.New("not a PROXY header")

// readProxy reads one header from r and what came with it. It never asks for more bytes than the two together can be.
func readProxy(r io.Reader) (h Header, rest []byte, err error) {
	buf := make([]byte, 0, 256)
	for {
		h, n, err := ParseProxy(buf)
		if err != nil {
			return Header{}, nil, err
		}
		if n > 0 {
			return h, buf[n:], nil
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		got, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if got == 0 && err != nil {
			return Header{}, nil, fmt.Errorf("after %d bytes: %w", len(buf), err)
		}
	}
}

// ParseProxy reads a header from the beginning of b and says how long it was: 0 when more bytes are needed, which is
// possible only below 2,064 bytes.
func ParseProxy(b []byte) (Header, int, error) {
	switch {
	case len(b) >= len(signatureV2) && string(b[:len(signatureV2)]) == signatureV2:
		return parseV2(b)
	case len(b) >= len(signatureV1) && string(b[:len(signatureV1)]) == signatureV1:
		return parseV1(b)
	case bytes.HasPrefix([]byte(signatureV1), b) || bytes.HasPrefix([]byte(signatureV2), b):
		return Header{}, 0, nil
	}
	return Header{}, 0, errNoProxy
}

// parseV1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n".
func parseV1(b []byte) (Header, int, error) {
	end := bytes.Index(b[:min(len(b), maxProxyV1)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= maxProxyV1 {
			return Header{}, 0, errors.New("PROXY v1: no end of line within 107 bytes")
		}
		return Header{}, 0, nil
	}
	n := end + 2
	f := strings.Split(string(b[len(signatureV1):end]), " ")
	if f[0] == "UNKNOWN" {
		return Header{}, n, nil
	}
	if len(f) != 5 || (f[0] != "TCP4" && f[0] != "TCP6") {
		return Header{}, 0, errors.New("PROXY v1: not TCP4, TCP6 or UNKNOWN with two addresses and two ports")
	}
	src, err := addressV1(f[0], f[1], f[3])
	if err != nil {
		return Header{}, 0, err
	}
	dst, err := addressV1(f[0], f[2], f[4])
	if err != nil {
		return Header{}, 0, err
	}
	return checked(Header{Source: src, Destination: dst}, n)
}

func addressV1(family, address, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" || a.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("PROXY v1: %q is no %s address", address, family)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(p, 10) != port { // no leading zeros or signs
		return netip.AddrPort{}, fmt.Errorf("PROXY v1: %q is no port", port)
	}
	return netip.AddrPortFrom(a, uint16(p)), nil
}

// parseV2 reads the binary form. b begins with the signature.
func parseV2(b []byte) (Header, int, error) {
	const fixed = 16
	if len(b) < fixed {
		return Header{}, 0, nil
	}
	n := fixed + int(binary.BigEndian.Uint16(b[14:]))
	if n > maxProxyV2 {
		return Header{}, 0, fmt.Errorf("PROXY v2: %d bytes are more than %d", n, maxProxyV2)
	}
	if len(b) < n {
		return Header{}, 0, nil
	}
	body := b[fixed:n]
	command, family := b[12], b[13]
	const local, proxy = 0x20, 0x21
	switch command {
	case local:
		return Header{}, n, nil
	case proxy:
	default:
		return Header{}, 0, fmt.Errorf("PROXY v2: unknown version or command %#02x", command)
	}
	const tcp4, tcp6, unspecified, unixStream = 0x11, 0x21, 0x00, 0x31
	var h Header
	var size int // of one address
	switch family {
	case tcp4:
		size = 4
	case tcp6:
		size = 16
	case unspecified, unixStream:
		return Header{}, n, nil
	default:
		return Header{}, 0, fmt.Errorf("PROXY v2: family and protocol %#02x are not TCP", family)
	}
	if len(body) < 2*size+4 {
		return Header{}, 0, errors.New("PROXY v2: too short for its addresses")
	}
	src, _ := netip.AddrFromSlice(body[:size])
	dst, _ := netip.AddrFromSlice(body[size : 2*size])
	h.Source = netip.AddrPortFrom(src, binary.BigEndian.Uint16(body[2*size:]))
	h.Destination = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2*size+2:]))
	if err := checkExtensions(b[:n], fixed+2*size+4); err != nil {
		return Header{}, 0, err
	}
	return checked(h, n)
}

// checkExtensions walks the type-length-value vectors and verifies the checksum where there is one.
func checkExtensions(header []byte, at int) error {
	const typeCRC32C = 0x03
	for at < len(header) {
		if len(header)-at < 3 {
			return errors.New("PROXY v2: an extension is cut off")
		}
		size := int(binary.BigEndian.Uint16(header[at+1:]))
		value := at + 3
		if len(header)-value < size {
			return errors.New("PROXY v2: an extension is cut off")
		}
		if header[at] == typeCRC32C {
			if size != 4 {
				return errors.New("PROXY v2: the checksum is not four bytes long")
			}
			want := binary.BigEndian.Uint32(header[value:])
			zeroed := bytes.Clone(header)
			clear(zeroed[value : value+4])
			if crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)) != want {
				return errors.New("PROXY v2: wrong checksum")
			}
		}
		at = value + size
	}
	return nil
}

// checked refuses addresses that no client has.
func checked(h Header, n int) (Header, int, error) {
	h.Source = netip.AddrPortFrom(h.Source.Addr().Unmap(), h.Source.Port())
	h.Destination = netip.AddrPortFrom(h.Destination.Addr().Unmap(), h.Destination.Port())
	if a := h.Source.Addr(); a.IsUnspecified() || a.IsMulticast() {
		return Header{}, 0, fmt.Errorf("PROXY: no client has the address %s", a)
	}
	return h, n, nil
}
