package redact

import (
	"math"
	"strings"
)

// maxEstimate is how many characters are looked at: that many are enough.
const maxEstimate = 512

// estimate returns how many bits it takes to write value down for somebody who
// knows what people make up: the shortest of three descriptions. Each is a
// code, or as long as one, which makes it fair to random keys: no code can save
// k bits on more than one of 2^k of them.
func estimate(value string) float64 {
	text := []rune(value)
	text = text[:min(len(text), maxEstimate)]
	size := math.Log2(alphabet(text))
	return min(described(text, size), counted(text, size), spoken(text, size))
}

// alphabet returns how many symbols each character was chosen from, at most.
func alphabet(text []rune) float64 {
	has := map[rune]float64{} // one of each kind, and the size of its kind
	hex := true
	for _, r := range text {
		switch {
		case '0' <= r && r <= '9':
			has['0'] = 10
		case 'a' <= r && r <= 'z':
			has['a'], hex = 26, hex && r <= 'f'
		case 'A' <= r && r <= 'Z':
			has['A'], hex = 26, hex && r <= 'F'
		default:
			has[r], hex = 1, false
			if r < 0x80 && !strings.ContainsRune("+/-_=.", r) {
				return 94 // marks beyond base64's: all that can be printed
			}
		}
	}
	if hex && len(has) > 1 {
		return 16
	}
	sum := 0.0
	for _, n := range has {
		sum += n
	}
	return max(sum, 1)
}

// habits is what people type and what counts up, as if each value had begun
// with it.
const habits = "qwertyuiopasdfghjklzxcvbnm0987654321qwertzuiopoiuytrewqlkjhgfdsamnbvcxz1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p" +
	"1q2w3e4r5t6y7u8i9o0p!@#$%^&*()_+abcdefghijklmnopqrstuvwxyz0123456789abcdef0123456789fedcba9876543210" +
	"iloveyoumonkeydragonsunshineprincessfootballbaseballshadowsuperman" +
	"password123passw0rdp@ssw0rd!welcomeletmeinadminchangemedefaultmastermysupersecretsigningkeyjwttokenwebhook" +
	"productionapplicationencryptiondatabaseaccessthequickbrownfoxjumpsoverthelazydogloremipsumdolorsitamet" +
	"deadbeefcafebabefeedfacebaadf00d8badf00d00112233445566778899aabbccddeeff"

// described may point back, to what stood before or to habits, and may say how
// a progression goes on (abcd, 2468, a1b2c3d4). It finds the cheapest way.
func described(text []rune, size float64) float64 {
	known := []rune(habits + strings.ToLower(string(text)))
	start := len(known) - len(text)
	bits := make([]float64, len(text)+1)
	for i := range bits[1:] {
		bits[i+1] = math.Inf(1)
	}
	reach := func(to int, cost float64) { bits[to] = min(bits[to], cost) }
	for i := range text {
		reach(i+1, bits[i]+size)
		if n := longestMatch(known, start+i); n > 3 {
			reach(i+n, bits[i]+7+math.Log2(float64(start+i))+math.Log2(float64(n)))
		}
		if n := progression(text[i:]); n > 4 {
			reach(i+n, bits[i]+4*size+9)
		}
	}
	return bits[len(text)]
}

// longestMatch returns how much of what begins at i stood before.
func longestMatch(text []rune, i int) (longest int) {
	for from := range i {
		n := 0
		for i+n < len(text) && text[from+n] == text[i+n] {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

// progression returns how many characters go on as the first four began: each
// second one, and those between them, by steps of their own.
func progression(text []rune) (n int) {
	for n = min(4, len(text)); n < len(text) && text[n]-text[n-2] == text[n-2]-text[n-4]; {
		n++
	}
	return n
}

// counted learns which characters are frequent (Krichevsky and Trofimov).
func counted(text []rune, size float64) (bits float64) {
	seen, half := map[rune]float64{}, math.Exp2(size)/2
	for i, r := range text {
		bits += math.Log2((float64(i) + half) / (seen[r] + 0.5))
		seen[r]++
	}
	return bits
}

// spoken asks whether the letters follow each other as they do in words. If so
// they are counted as those of words in a list: the longest lists of words for
// passphrases give two bits a letter.
func spoken(text []rune, size float64) float64 {
	const evidence = 20 // bits by which words must be shorter than random letters
	letter := math.Log2(26)
	if size <= 4 {
		return math.Inf(1) // among hex digits, letters are few and look like words
	}
	saved, words, before := 0.0, 0.0, -1
	for _, r := range strings.ToLower(string(text)) {
		switch {
		case r == '-' || r == '_' || r == '.':
			words, before = words+1, -1
		case r < 'a' || r > 'z':
			words, before = words+size, -1
		default:
			if before >= 0 {
				saved += letter - rankBits[strings.IndexRune(followers[before], r)]
			}
			words, before = words+2, int(r-'a')
		}
	}
	if saved < evidence {
		return math.Inf(1)
	}
	return words
}

// followers holds for each letter what follows it in English, the most frequent
// first; rankBits how many bits a follower of that rank is worth.
var (
	followers = [26]string{
		"ntlrscmgdipbyuvkfxwjzhaeoq", "eluyoaisrjhctdbmfpnvwzgkxq", "otahekiulrcsgympfvqdbxnwjz", "eiodasulrygptmcfvwbnxkhjqz",
		"rsndctaxmlfpvewgqiybhuokjz", "oiuearfltymscnpgzdhxkwbqvj", "eoirnuhslgacftzbympvqwdxjk", "eaiotrmuspynlcdgbhfkwxzjqv",
		"nstolcmefgdrabvpxzkqijuwhy", "esuaoipwmcdnvkrbfghjlqtxyz", "easingopudflwrbvtymcxqhjkz", "eiloyadustpnwfcvrgbmhkxqzj",
		"eapoibumsdltynkcfgvxqjwrhz", "tdgescaoiluyvfnkmphbwrjzqx", "nrumfdtpclwsvogibxakejyzhq", "eraloiputysdchkgmfbwnvxjqz",
		"ulmiwnrsehabcdfgjkopqtvxyz", "eioasturymncdvgkflwbpjhqxz", "teisoupahcylmnkdvwrfgqbxzj", "heioarsyutclpwfdmxgbnzvkqj",
		"sntrleimcpbgadfxouzvyhkjqw", "eaiodrmjqslpuvntwbckgxfyzh", "iheaornsctlwpfbdugmvjxykqz", "tapieydrcjvxufmhbnosgzklqw",
		"postnlmzriecwbyfdahvugjkqx", "easizobkcrplvwydghmfjnqtux",
	}
	rankBits = [26]float64{
		1.95, 2.62, 3.05, 3.37, 3.81, 4.15, 4.50, 4.74, 4.99, 5.28, 5.68, 5.97, 6.33,
		6.49, 6.70, 7.07, 7.40, 7.79, 8.46, 8.98, 9.48, 10.06, 11.11, 12.16, 12.98, 14.94,
	}
)
