package httpapi

import "context"

type limitsOutput struct{ Body Limits }

type templatesOutput struct{ Body TemplateList }

func (a *API) registerMeta() {
	const tag = "Installation"
	register(a, route{method: "GET", path: "/templates", id: "listTemplates", tag: tag, summary: "What a workspace can be made from"}, a.templates)
	register(a, route{method: "GET", path: "/limits", id: "getLimits", tag: tag, summary: "What this installation allows"}, a.limits)
}

func (a *API) templates(context.Context, *struct{}) (*templatesOutput, error) {
	out := &templatesOutput{TemplateList{Items: []Template{}}}
	for _, t := range a.cfg.Files.Templates() {
		out.Body.Items = append(out.Body.Items, Template{ID: t.ID, Name: t.Name, Description: t.Description})
	}
	return out, nil
}

func (a *API) limits(context.Context, *struct{}) (*limitsOutput, error) {
	return &limitsOutput{a.cfg.Limits}, nil
}
