package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
)

type optionsOutput struct{ Body AuthOptions }

type userOutput struct{ Body User }

type loginOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Body      User
}

type logoutOutput struct {
	SetCookie string `header:"Set-Cookie"`
}

type setupInput struct{ Body Setup }

type registerInput struct{ Body NewAccount }

type loginInput struct{ Body Credentials }

type passwordInput struct{ Body PasswordChange }

func (a *API) registerAuth() {
	const tag = "Accounts"
	register(a, route{method: "GET", path: "/auth/options", id: "getAuthOptions", tag: tag, public: true,
		summary: "What the login page needs to know"}, a.authOptions)
	register(a, route{method: "POST", path: "/auth/setup", id: "setup", tag: tag, public: true, timeout: steady, status: 201,
		summary: "Make the first account, with the token that the server printed", errors: []int{409, 422}, deniedAction: "auth.setup"}, a.setup)
	register(a, route{method: "POST", path: "/auth/register", id: "register", tag: tag, public: true, timeout: steady, status: 201,
		summary: "Make an account and log in, where registration is open", errors: []int{409, 422}, deniedAction: "auth.register"}, a.registerAccount)
	register(a, route{method: "POST", path: "/auth/login", id: "login", tag: tag, public: true, timeout: steady,
		summary: "Log in", errors: []int{401, 422}, deniedAction: "auth.login", auditFailures: true}, a.login)
	register(a, route{method: "POST", path: "/auth/logout", id: "logout", tag: tag, summary: "Log out"}, a.logout)
	register(a, route{method: "GET", path: "/auth/me", id: "getMe", tag: tag, summary: "Who is logged in"}, a.me)
	register(a, route{method: "POST", path: "/auth/password", id: "changePassword", tag: tag, timeout: steady,
		summary: "Change one's own password, and end all other logins", errors: []int{422}, deniedAction: "auth.password"},
		a.changePassword)
}

func (a *API) authOptions(ctx context.Context, _ *struct{}) (*optionsOutput, error) {
	needed, err := a.cfg.Auth.SetupNeeded(ctx)
	if err != nil {
		return nil, err
	}
	return &optionsOutput{AuthOptions{Setup: needed, Registration: a.cfg.Auth.RegistrationOpen()}}, nil
}

func (a *API) setup(ctx context.Context, in *setupInput) (*loginOutput, error) {
	r := requestOf(ctx)
	user, token, err := a.cfg.Auth.Setup(ctx, in.Body.Token, in.Body.Username, in.Body.Password, r.UserAgent, r.Address)
	return a.loggedIn(ctx, user, token, err)
}

func (a *API) registerAccount(ctx context.Context, in *registerInput) (*loginOutput, error) {
	r := requestOf(ctx)
	user, token, err := a.cfg.Auth.Register(ctx, in.Body.Username, in.Body.Password, r.UserAgent, r.Address)
	return a.loggedIn(ctx, user, token, err)
}

func (a *API) login(ctx context.Context, in *loginInput) (*loginOutput, error) {
	r := requestOf(ctx)
	user, token, err := a.cfg.Auth.Login(ctx, in.Body.Username, in.Body.Password, r.UserAgent, r.Address)
	return a.loggedIn(ctx, user, token, err)
}

// loggedIn answers with the new login's cookie. A login that the browser brought along ends, so that nobody else who knows
// it (who may have planted it) goes on with it.
func (a *API) loggedIn(ctx context.Context, user auth.User, token auth.Token, err error) (*loginOutput, error) {
	if err != nil {
		return nil, err
	}
	if old, ok := requestOf(ctx).token(a); ok {
		if p, err := a.cfg.Auth.Authenticate(ctx, old); err == nil {
			if err := a.cfg.Auth.Logout(ctx, p); err != nil {
				a.log.WarnContext(ctx, "cannot end the login that a new one replaces", "err", err)
			}
			a.sockets.recheck(p.UserID)
		}
	}
	return &loginOutput{SetCookie: a.cookie(token.Reveal(), cookieLife), Body: userOf(user)}, nil
}

func (a *API) logout(ctx context.Context, _ *struct{}) (*logoutOutput, error) {
	p := principalOf(ctx)
	if err := a.cfg.Auth.Logout(ctx, p); err != nil {
		return nil, err
	}
	a.sockets.recheck(p.UserID)
	return &logoutOutput{SetCookie: a.cookie("", -1)}, nil
}

func (a *API) me(ctx context.Context, _ *struct{}) (*userOutput, error) {
	user, err := a.cfg.Auth.Me(ctx, principalOf(ctx))
	if err != nil {
		return nil, err
	}
	return &userOutput{userOf(user)}, nil
}

func (a *API) changePassword(ctx context.Context, in *passwordInput) (*struct{}, error) {
	p := principalOf(ctx)
	if err := a.cfg.Auth.ChangePassword(ctx, p, in.Body.Current, in.Body.Next); err != nil {
		return nil, err
	}
	a.sockets.recheck(p.UserID)
	return nil, nil
}

func userOf(u auth.User) User {
	return User{ID: u.ID.String(), Username: u.Username, Admin: u.Admin, CreatedAt: u.CreatedAt}
}

// cookieLife is how long a browser keeps the cookie. The login behind it may end earlier.
const cookieLife = 90 * 24 * time.Hour

func (a *API) secure() bool { return a.cfg.PublicURL.Scheme == "https" }

// cookieName is the login cookie's. Browsers accept a __Host- cookie only when it is Secure, for the path / and without a
// domain, so that no other host can plant one.
func (a *API) cookieName() string {
	if a.secure() {
		return "__Host-vivarium"
	}
	return "vivarium"
}

func (a *API) cookie(value string, life time.Duration) string {
	c := &http.Cookie{Name: a.cookieName(), Value: value, Path: "/", HttpOnly: true, Secure: a.secure(), SameSite: http.SameSiteLaxMode,
		MaxAge: int(life.Seconds())}
	if life < 0 {
		c.MaxAge = -1
	}
	return c.String()
}

// authenticate returns who the login cookie belongs to. Several different ones are none: one of them was planted.
func (a *API) authenticate(ctx context.Context, headers func(func(name, value string))) (auth.Principal, error) {
	token, ok := a.tokenIn(headers)
	if !ok {
		return auth.Principal{}, fault.New(fault.Unauthenticated, "Log in first.")
	}
	return a.cfg.Auth.Authenticate(ctx, token)
}

func (a *API) tokenIn(headers func(func(name, value string))) (auth.Token, bool) {
	found := ""
	headers(func(name, value string) {
		if !strings.EqualFold(name, "Cookie") {
			return
		}
		cookies, err := http.ParseCookie(value)
		if err != nil {
			return
		}
		for _, c := range cookies {
			switch {
			case c.Name != a.cookieName() || c.Value == "":
			case found == "" || found == c.Value:
				found = c.Value
			default:
				found = "\x00" // no token has such a character
			}
		}
	})
	return auth.Token(found), found != ""
}
