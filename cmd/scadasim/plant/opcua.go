package plant

import "errors"

func (p *Plant) addOPCUA(u *OPCUAFile) error {
	return errors.New("opcua: " + u.Device + ": OPC UA devices cannot be simulated by this build")
}
