package manifest

// createBody describes Docker's request to create a container, and the runtime's
// additions. The sources are, for edge agent: Azure/iotedge,
// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/models, whose members outside of
// the types pass unread (README.md there); for aziot-edged: Azure/iotedge,
// edgelet/docker-rs/src/models, container_create_body.rs and host_config.rs; for Docker:
// moby/moby, api/types/container/config.go, hostconfig.go, api/types/mount/mount.go and
// api/types/network/endpoint.go.
var createBody = agent.object(options{
	"Hostname": edged.text(),
	"Domainname User WorkingDir MacAddress StopSignal":                                          docker.text(),
	"AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled": docker.boolean(),

	"ExposedPorts":     agent.mapOf(agent.mapOf(nil).never(agent)),
	"Env":              agent.list(agent.text().never(edged)),
	"Cmd Entrypoint":   edged.list(edged.text().never(edged)), // Docker alone also takes a string
	"Shell OnBuild":    docker.list(docker.text()),
	"Image Name":       agent.text(),
	"Labels":           agent.mapOf(agent.text().never(edged)),
	"Volumes":          edged.mapOf(docker.mapOf(nil)),
	"StopTimeout":      docker.integer(),
	"k8s-experimental": docker.mapOf(nil),
	"HostConfig":       hostConfig,
	"NetworkingConfig": agent.object(options{"EndpointsConfig": agent.mapOf(endpointSettings)}),

	"Healthcheck": docker.object(options{
		"Test": docker.list(docker.text()),
		"Interval Timeout StartPeriod StartInterval Retries": docker.integer(),
		"NoWait": docker.boolean(),
	}),
})

var endpointSettings = agent.object(options{
	"Aliases":        agent.list(agent.text()),
	"Links DNSNames": docker.list(docker.text()),
	"IPAMConfig": docker.object(options{
		"IPv4Address IPv6Address": docker.text(),
		"LinkLocalIPs":            docker.list(docker.text()),
	}),
	"NetworkID EndpointID Gateway IPAddress IPv6Gateway GlobalIPv6Address MacAddress": docker.text(),
	"IPPrefixLen GlobalIPv6PrefixLen GwPriority":                                      docker.integer(),
	"DriverOpts": docker.mapOf(docker.text()),
})

// hostConfig is HostConfig, of which edge agent's newer model (Azure/iotedge, models/HostConfig.cs)
// types nearly all members. Older agents pass more of them to Docker, which converts none.
var hostConfig = agent.object(options{
	"NetworkMode IpcMode PidMode UTSMode UsernsMode":          agent.text(),
	"Cgroup CgroupParent CpusetCpus CpusetMems":               agent.text(),
	"Isolation Runtime VolumeDriver InitPath ContainerIDFile": agent.text(),
	"CgroupnsMode": docker.text(),
	"Binds":        agent.list(agent.text().never(edged)),
	"VolumesFrom CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt": agent.list(agent.text()),
	"DeviceCgroupRules":         edged.list(edged.text().never(edged)),
	"MaskedPaths ReadonlyPaths": docker.list(docker.text()),
	"Sysctls StorageOpt Tmpfs":  agent.mapOf(agent.text()),
	"Annotations":               docker.mapOf(docker.text()),

	"Privileged AutoRemove PublishAllPorts ReadonlyRootfs": agent.boolean(),
	"OomKillDisable Init": agent.boolean().orNull(),

	"Memory MemoryReservation MemorySwap KernelMemory NanoCpus":         agent.integer(),
	"CpuShares CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime": agent.integer(),
	"CpuCount CpuPercent OomScoreAdj ShmSize DiskQuota":                 agent.integer(),
	"MemorySwappiness PidsLimit":                                        agent.integer().orNull(),
	"KernelMemoryTCP":                                                   docker.integer(),
	"BlkioWeight":                                                       agent.unsigned(16),
	"IOMaximumIOps IOMaximumBandwidth":                                  agent.unsigned(64),
	"ConsoleSize":                                                       agent.list(agent.unsigned(64)),
	"BlkioWeightDevice":                                                 agent.list(agent.object(options{"Path": agent.text(), "Weight": agent.unsigned(16)})),
	"BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps": agent.list(agent.object(options{"Path": agent.text(), "Rate": agent.unsigned(64)})),

	"LogConfig":      agent.object(options{"Type": agent.text(), "Config": agent.mapOf(agent.text())}),
	"PortBindings":   agent.mapOf(agent.list(agent.object(options{"HostIp HostPort": agent.text()}))),
	"RestartPolicy":  agent.object(options{"Name": agent.text(), "MaximumRetryCount": agent.integer().orNull()}),
	"Mounts":         agent.list(mount),
	"Devices":        agent.list(agent.object(options{"PathOnHost PathInContainer CgroupPermissions": agent.text()})),
	"Ulimits":        agent.list(agent.object(options{"Name": agent.text(), "Soft Hard": agent.integer()})),
	"DeviceRequests": docker.list(deviceRequest),
})

var deviceRequest = docker.object(options{
	"Driver":       docker.text(),
	"Count":        docker.integer(),
	"DeviceIDs":    docker.list(docker.text()),
	"Capabilities": docker.list(docker.list(docker.text())),
	"Options":      docker.mapOf(docker.text()),
})

// mount is one item of Mounts, of which edge agent types the members in the first two lines
// (Azure/iotedge, models/Mount.cs).
var mount = agent.object(options{
	"Type Source Target": agent.text(),
	"ReadOnly":           agent.boolean(),
	"Consistency":        docker.text(),
	"BindOptions": docker.object(options{
		"Propagation": docker.text(),
		"NonRecursive CreateMountpoint ReadOnlyNonRecursive ReadOnlyForceRecursive": docker.boolean(),
	}),
	"VolumeOptions": docker.object(options{
		"NoCopy":       docker.boolean(),
		"Labels":       docker.mapOf(docker.text()),
		"Subpath":      docker.text(),
		"DriverConfig": docker.object(options{"Name": docker.text(), "Options": docker.mapOf(docker.text())}),
	}),
	"TmpfsOptions": docker.object(options{
		"SizeBytes Mode": docker.integer(),
		"Options":        docker.list(docker.list(docker.text())),
	}),
	"ImageOptions":   docker.object(options{"Subpath": docker.text()}),
	"ClusterOptions": docker.mapOf(nil),
})
