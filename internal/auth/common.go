package auth

import (
	"strings"
	"unicode/utf8"
)

// commonUpTo is the length in characters beyond which no password is called common: what is left to guess there is more
// than a list of words and habits.
const commonUpTo = 20

// trimmedUpTo is how many digits and signs around a common word do not make it any better.
const trimmedUpTo = 6

// common reports whether a password is one that guessers begin with. Published lists of such passwords are made of few
// habits: one sign or group repeated, rows of the keyboard, counting, and a well-known word with digits around it or in place of
// letters. Those are tested here in place of a list, so that the thousand variants of a word need no thousand lines.
func common(password string) bool {
	if utf8.RuneCountInString(password) > commonUpTo {
		return false
	}
	s := strings.ToLower(password)
	return repeats(s) || counts(s) || walks(s) || wellKnown(s)
}

// repeats reports whether s is one group of at most five bytes again and again (its end may be cut), or of two characters
// only.
func repeats(s string) bool {
	for n := 1; n <= 5; n++ {
		if len(s) >= 2*n && s[n:] == s[:len(s)-n] {
			return true
		}
	}
	distinct := map[rune]bool{}
	for _, r := range s {
		distinct[r] = true
	}
	return len(distinct) <= 2
}

// counts reports whether each character follows the one before, up or down, as in 12345678, 7654321 and abcdefgh; 0 comes
// after 9, as on a keyboard.
func counts(s string) bool {
	up, down := true, true
	for i := 1; i < len(s); i++ {
		a, b := s[i-1], s[i]
		up = up && (b == a+1 || a == '9' && b == '0')
		down = down && (a == b+1 || b == '9' && a == '0')
	}
	return up || down
}

// rows are ways over a keyboard.
var rows = []string{
	"1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiop", "azertyuiop",
	"!@#$%^&*()_+", "1qaz2wsx3edc4rfv5tgb6yhn", "!qaz2wsx", "qazwsxedcrfvtgbyhnujm", "1q2w3e4r5t6y7u8i9o0p",
	"q1w2e3r4t5y6u7i8o9p0", "zaq12wsx", "zaq1xsw2cde3vfr4", "zaqxswcdevfr", "qweasdzxc", "asdfqwer", "qwerasdf", "asdqwezxc",
	"qwe123asd", "1234qwer", "qwer1234", "asdf1234", "1234asdf", "zxcv1234", "123qweasd", "123qwe123", "qwe123qwe", "abcd12345678", "abc123456789", "abcde12345",
	"1234abcd", "a1b2c3d4e5", "1a2b3c4d5e", "abc123abc", "123abc123", "159753", "147258369", "789456123", "741852963", "987654321",
	"112233445566", "123123321", "11223344", "password1234",
}

func walks(s string) bool {
	way := strings.TrimRight(s, "!.?*")
	if len(way) < 6 {
		return false
	}
	for _, row := range rows {
		if strings.Contains(row, way) || strings.Contains(row, reverse(way)) {
			return true
		}
		// A row and a short count: qwerty123, asdfgh12.
		stem := strings.TrimRight(way, "0123456789")
		if len(stem) >= 4 && len(way)-len(stem) <= trimmedUpTo && strings.Contains(row, stem) {
			return true
		}
	}
	return false
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

func wellKnown(s string) bool {
	isSign := func(r rune) bool { return r < 'a' && r < utf8.RuneSelf || r > 'z' && r < utf8.RuneSelf }
	stem := strings.TrimFunc(s, isSign)
	if len(s)-len(stem) <= trimmedUpTo && wordOrTwo(stem) {
		return true
	}
	// Digits for letters, also at the ends: p4ssw0rd, $ecret12.
	digits := strings.TrimRight(s, "0123456789!.?*")
	for _, text := range []string{s, digits, stem} {
		if len(s)-len(text) <= trimmedUpTo && wordOrTwo(leet.Replace(text)) {
			return true
		}
	}
	return false
}

// wordOrTwo reports whether s is a well-known word, or one written twice.
func wordOrTwo(s string) bool {
	if words[s] {
		return true
	}
	half := len(s) / 2
	return len(s)%2 == 0 && half >= 3 && s[:half] == s[half:] && words[s[:half]]
}

var words = func() map[string]bool {
	m := map[string]bool{}
	for word := range strings.FieldsSeq(wordList) {
		m[word] = true
	}
	return m
}()

// wordList has what people make passwords of: words for passwords and computers, affection, names of days, seasons, animals,
// colours, sports, cars, and first names.
const wordList = `
pass passw password passwort passwd passwords passcode passphrase motdepasse contrasena senha parola haslo heslo
mypassword newpassword thepassword password1234 pwd secret topsecret private login logon access letmein letmeinnow openup
open opensesame sesame enter entrar enternow welcome welcomeback willkommen bienvenue hello hellothere hallo goodbye changeme changeit
change default temp temporary test testing tester testtest testpass trial example sample demo guest user username admin
administrator adminadmin root rootroot toor master superuser super superman supervisor system sysadmin server service support
computer internet network database oracle mysql postgres linux ubuntu debian windows microsoft apple google facebook twitter amazon
samsung nokia android iphone python python3 jupyter notebook vivarium docker github gitlab kubernetes workspace developer programmer
code coding hacker hacked matrix
iloveyou iloveu ilovegod ilovehim iloveher iloveme ilovemyself lovely lover loveme love loveyou mylove myself sweet sweety
sweetheart darling honey babe baby babygirl babyboy angel angels beautiful princess prince queen king kingdom forever
fuckyou fuckoff fuckme fuck shit asshole bitch bastard biteme whatever nothing nobody anything something
trustno trustnoone dontknow idontknow noidea nopassword nopass iforgot forgot forget remember nevermind
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november
december spring summer autumn fall winter sommer herbst fruehling sunshine sunset sunrise rainbow flower flowers butterfly
star stars starwars startrek moon moonlight heaven snow snowball thunder lightning storm ocean water fire earth
dragon dragons tiger tigers lion lions bear bears wolf wolves eagle eagles falcon panther panthers monkey monkeys donkey
horse horses rabbit bunny puppy kitty kitten kittens dolphin dolphins turtle chicken spider snake shark scorpion phoenix
buster bailey ginger pepper peanut cookie cookies banana apples orange oranges cherry strawberry chocolate cheese coffee pizza
purple yellow green blue black white red silver gold golden diamond crystal pearl
football soccer baseball basketball hockey golf tennis volleyball fussball futbol chelsea arsenal liverpool manchester
barcelona realmadrid juventus bayern yankees cowboys steelers lakers redsox packers raiders
mustang corvette ferrari porsche mercedes bmw audi toyota honda yamaha harley camaro jaguar
batman spiderman ironman wonderwoman superstar pokemon pikachu naruto minecraft fortnite roblox nintendo playstation xbox
gandalf frodo hogwarts harrypotter potter merlin zelda mario sonic snoopy garfield mickey disney
shadow hunter ranger killer trouble danger warrior knight ninja samurai pirate wizard soldier maverick
freedom liberty america england germany france canada mexico brazil india china japan russia london paris berlin newyork
chicago dallas texas california florida hawaii
jesus jesuschrist christ church bible blessed faith grace mercy godisgood amen
happy smile lucky cool awesome number one money business office company work school student teacher college university
music guitar metallica slipknot nirvana eminem rockstar dance dancer
michael jennifer jessica michelle ashley amanda daniel andrew joshua matthew anthony robert thomas charlie charles george
william jordan justin brandon nicole stephanie elizabeth samantha victoria alexander alexandra christian christopher
benjamin jonathan nicholas patrick richard steven martin maria anna sarah laura sophie hannah julia lisa emma olivia
`
