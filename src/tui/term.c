/* The terminal, through ncurses: begin, end, looks, text.
 *
 * Text of peers may hold anything. It is read as UTF-8, and what is no printable character of it,
 * or would steer the terminal, is drawn as '?'. Where the locale is not UTF-8 everything beyond
 * ASCII is '?', and the drawing signs are plain.
 *
 * A program that dies leaves the terminal usable: the signals that end it first put it back.
 */
#include "tui/tui_priv.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT,
			    SIGTERM, SIGHUP, SIGINT, SIGQUIT};
static struct termios before; /* how the terminal takes lines */

/* Only what a handler may do: the sequences are those of every terminal that ncurses runs on today:
 * leave the second screen, show the cursor, no mouse, plain attributes. */
static void on_fatal(int sig)
{
	static const char reset[] =
		"\033[?1049l\033[?25h\033[?1000l\033[?1002l\033[?1006l\033[0m\r\n";
	ssize_t put = write(STDOUT_FILENO, reset, sizeof reset - 1);
	(void)put;
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	raise(sig); /* once more, and now it ends us: SA_RESETHAND */
}

static void catch_fatal(bool is_on)
{
	struct sigaction sa = {.sa_flags = SA_RESETHAND | SA_NODEFER};
	sa.sa_handler = is_on ? on_fatal : SIG_DFL;
	for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
		sigaction(fatal[i], &sa, NULL);
}

static void init_looks(struct tui *u)
{
	static const struct {
		enum tui_look look;
		short colour;
	} pairs[] = {
		{LOOK_REQUEST, COLOR_CYAN   },
                {LOOK_1XX,     COLOR_YELLOW },
                {LOOK_2XX,     COLOR_GREEN  },
		{LOOK_3XX,     COLOR_BLUE   },
                {LOOK_ERROR,   COLOR_RED    },
                {LOOK_MEDIA,   COLOR_MAGENTA},
		{LOOK_NOTE,    COLOR_YELLOW },
                {LOOK_KEY,     COLOR_CYAN   },
	};
	u->has_colour = !u->o->no_colour && has_colors() && start_color() == OK;
	if (!u->has_colour)
		return;
	use_default_colors();
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		init_pair((short)pairs[i].look, pairs[i].colour, -1);
}

/* Ctrl-C is a key like others: it leaves in order. */
static void unsignal_ctrl_c(void)
{
	struct termios now;
	if (tcgetattr(STDIN_FILENO, &now))
		return;
	now.c_cc[VINTR] = _POSIX_VDISABLE;
	if (!tcsetattr(STDIN_FILENO, TCSANOW, &now))
		def_prog_mode();
}

enum err term_begin(struct tui *u)
{
	setlocale(LC_CTYPE, "");
	bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	u->is_ascii = u->o->is_ascii || !is_utf8;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return ERR_UNSUPPORTED;
	SCREEN *s = tcgetattr(STDIN_FILENO, &before) ? NULL : newterm(NULL, stdout, stdin);
	if (!s)
		return ERR_UNSUPPORTED;
	set_term(s);
	cbreak();
	noecho();
	nonl();
	unsignal_ctrl_c();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	mousemask(BUTTON1_PRESSED | BUTTON1_DOUBLE_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED,
		  NULL);
	mouseinterval(0);
	init_looks(u);
	catch_fatal(true);
	term_size(u);
	return OK;
}

void term_end(void)
{
	catch_fatal(false);
	curs_set(1);
	endwin();
}

void term_size(struct tui *u)
{
	getmaxyx(stdscr, u->rows, u->cols);
}

enum tui_look term_look_of(enum sheet_tone t)
{
	static const enum tui_look looks[] = {
		[TONE_PLAIN] = LOOK_PLAIN, [TONE_REQUEST] = LOOK_REQUEST, [TONE_1XX] = LOOK_1XX,
		[TONE_2XX] = LOOK_2XX,     [TONE_3XX] = LOOK_3XX,         [TONE_ERROR] = LOOK_ERROR,
		[TONE_RTP] = LOOK_MEDIA};
	return looks[t];
}

/* Colour never says anything alone: what matters is bold or inverse, too. */
static attr_t attr_of(const struct tui *u, enum tui_look look)
{
	attr_t a = 0;
	if (look == LOOK_CURSOR)
		return A_REVERSE;
	if (look == LOOK_HEAD || look == LOOK_ERROR || look == LOOK_KEY)
		a |= A_BOLD;
	if (look == LOOK_DIM)
		a |= A_DIM;
	if (u->has_colour && look != LOOK_HEAD && look != LOOK_DIM)
		a |= (attr_t)COLOR_PAIR((int)look);
	return a;
}

/* The next character of s as a wide one; its bytes in *n. */
static wchar_t next_char(struct str s, size_t *n, bool is_ascii)
{
	mbstate_t st = {0};
	wchar_t c;
	*n = 1;
	if ((uint8_t)*s.p < 0x80)
		return *s.p >= ' ' && *s.p != 127 ? (wchar_t)*s.p : *s.p == '\t' ? L' ' : L'?';
	if (is_ascii)
		return L'?';
	size_t got = mbrtowc(&c, s.p, s.n, &st);
	if (got == 0 || got > s.n)
		return L'?';
	*n = got;
	return wcwidth(c) < 0 ? L'?' : c;
}

int term_put(const struct tui *u, int y, int x, int cols, struct str s, enum tui_look look)
{
	int used = 0;
	if (y < 0 || y >= u->rows || x >= u->cols)
		return 0;
	if (cols > u->cols - x)
		cols = u->cols - x;
	attr_set(attr_of(u, look), 0, NULL);
	if (u->has_colour && look != LOOK_CURSOR && look != LOOK_HEAD && look != LOOK_DIM)
		attr_set(attr_of(u, look) & ~A_COLOR, (short)look, NULL);
	while (s.n) {
		size_t n;
		wchar_t c[2] = {next_char(s, &n, u->is_ascii), 0};
		int w = wcwidth(c[0]);
		bool is_last = s.n == n;
		if (used + w > cols)
			break;
		if (used + w == cols && !is_last) /* more than fits */
			c[0] = u->is_ascii ? L'~' : L'…';
		mvaddwstr(y, x + used, c);
		used += wcwidth(c[0]);
		s = str_skip(s, n);
	}
	attr_set(0, 0, NULL);
	return used;
}

void term_line(const struct tui *u, int y, int x, int cols, struct str s, enum tui_look look)
{
	int used = term_put(u, y, x, cols, s, look);
	attr_set(look == LOOK_CURSOR ? A_REVERSE : 0, 0, NULL);
	if (y >= 0 && y < u->rows)
		for (; used < cols && x + used < u->cols; used++)
			mvaddch(y, x + used, ' ');
	attr_set(0, 0, NULL);
}

const char *term_sign(const struct tui *u, const char *sign, const char *plain)
{
	return u->is_ascii ? plain : sign;
}
